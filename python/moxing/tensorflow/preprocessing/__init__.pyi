"""Made by scripts/stubs.py of what `import moxing.tensorflow.preprocessing` gives; not to be changed by hand."""
from collections.abc import Callable, Sequence
from typing import Any, Literal
import tensorflow.compat.v1 as tf

class PreprocessingKeys:
    """LENET = 'lenet_preprocessing', …"""
    ALEXNET_V2: Literal['vgg_preprocessing']
    CIFARNET: Literal['cifarnet_preprocessing']
    INCEPTION: Literal['inception_preprocessing']
    INCEPTION_RESNET_V2: Literal['inception_preprocessing']
    INCEPTION_V1: Literal['inception_preprocessing']
    INCEPTION_V2: Literal['inception_preprocessing']
    INCEPTION_V3: Literal['inception_preprocessing']
    INCEPTION_V4: Literal['inception_preprocessing']
    LENET: Literal['lenet_preprocessing']
    MOBILENET_V1: Literal['inception_preprocessing']
    MOBILENET_V1_025: Literal['inception_preprocessing']
    MOBILENET_V1_050: Literal['inception_preprocessing']
    MOBILENET_V1_075: Literal['inception_preprocessing']
    MOBILENET_V2: Literal['inception_preprocessing']
    MOBILENET_V2_035: Literal['inception_preprocessing']
    MOBILENET_V2_140: Literal['inception_preprocessing']
    NASNET_CIFAR: Literal['cifarnet_preprocessing']
    NASNET_LARGE: Literal['inception_preprocessing']
    NASNET_MOBILE: Literal['inception_preprocessing']
    OVERFEAT: Literal['vgg_preprocessing']
    PNASNET_LARGE: Literal['inception_preprocessing']
    PNASNET_MOBILE: Literal['inception_preprocessing']
    PVANET: Literal['pvanet_preprocessing']
    RESNET_V15_101: Literal['torch_preprocessing']
    RESNET_V15_152: Literal['torch_preprocessing']
    RESNET_V15_18: Literal['torch_preprocessing']
    RESNET_V15_34: Literal['torch_preprocessing']
    RESNET_V15_50: Literal['torch_preprocessing']
    RESNET_V1_101: Literal['vgg_preprocessing']
    RESNET_V1_110: Literal['cifarnet_preprocessing']
    RESNET_V1_152: Literal['vgg_preprocessing']
    RESNET_V1_18: Literal['vgg_preprocessing']
    RESNET_V1_20: Literal['cifarnet_preprocessing']
    RESNET_V1_200: Literal['vgg_preprocessing']
    RESNET_V1_50: Literal['vgg_preprocessing']
    RESNET_V1_50_8K: Literal['vgg_preprocessing']
    RESNET_V1_KERAS_101: Literal['vgg_preprocessing']
    RESNET_V1_KERAS_152: Literal['vgg_preprocessing']
    RESNET_V1_KERAS_50: Literal['vgg_preprocessing']
    RESNET_V2_101: Literal['vgg_preprocessing']
    RESNET_V2_152: Literal['vgg_preprocessing']
    RESNET_V2_200: Literal['vgg_preprocessing']
    RESNET_V2_50: Literal['vgg_preprocessing']
    RESNET_V2_KERAS_101: Literal['inception_preprocessing']
    RESNET_V2_KERAS_152: Literal['inception_preprocessing']
    RESNET_V2_KERAS_50: Literal['inception_preprocessing']
    RESNEXT_B_101: Literal['vgg_preprocessing']
    RESNEXT_B_50: Literal['vgg_preprocessing']
    RESNEXT_C_101: Literal['vgg_preprocessing']
    RESNEXT_C_50: Literal['vgg_preprocessing']
    TORCH: Literal['torch_preprocessing']
    VGG: Literal['vgg_preprocessing']
    VGG_16: Literal['vgg_preprocessing']
    VGG_16_BN: Literal['vgg_preprocessing']
    VGG_19: Literal['vgg_preprocessing']
    VGG_19_BN: Literal['vgg_preprocessing']
    VGG_A: Literal['vgg_preprocessing']
    VGG_A_BN: Literal['vgg_preprocessing']

def balanced_class_weights(counts: Sequence[int]) -> list[float]:
    """A weight for each class of these counts, samples of each class in the order of the labels: samples / (classes that have some * samples of the class); 0 for one without.

    For losses of data whose classes are not equally frequent: tf.losses.…(…, weights=tf.gather(weights, labels)).
    """

def get_data_augmentation_fn(
    name: str,
    run_mode: str,
    output_height: int | None = None,
    output_width: int | None = None,
    **kwargs: Any,
) -> Callable[[Any], tf.Tensor]:
    """A function image -> image on one [height, width, channels] image: random in TRAIN, the same each time otherwise.

    name: of a network, or one of PreprocessingKeys. run_mode: TRAIN, EVAL or PREDICT. output_height, output_width: of what the
    function returns; None: the network's usual size.
    kwargs: resize_side_min, resize_side_max, fast_mode, central_fraction, area_min, padding; each preprocessing reads its
    own. Of all, in TRAIN: augment ("default", "none" or "randaugment"), crop_scale, hflip, vflip, color_jitter, random_erasing,
    which take the place of what the preprocessing has for them (docs/preprocessing.md). Raises InvalidArgumentError for others.
    """

def mix_batch(images: Any, labels: Any, mixup: float = 0, cutmix: float = 0) -> tuple[tf.Tensor, tf.Tensor]:
    """(images, labels), each image made of two of the batch: mixup (Zhang et al. 2017) or CutMix (Yun et al. 2019).

    images: float [batch, height, width, channels]; labels: float [batch, classes], a distribution a row (tf.one_hot). mixup: each
    image becomes x * itself + (1 - x) * another one, x drawn from Beta(mixup, mixup). cutmix: a box of another image is pasted,
    1 - x of the area, x drawn from Beta(cutmix, cutmix). With both, a batch is mixed in one of the two ways. Labels are mixed as
    their images. Call it in model_fn in TRAIN: a training that goes on draws the same. With neither, both are returned as they are.
    Raises InvalidArgumentError for what is not float32.
    """
