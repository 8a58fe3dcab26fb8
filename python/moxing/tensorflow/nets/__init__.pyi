"""Made by scripts/stubs.py of what `import moxing.tensorflow.nets` gives; not to be changed by hand."""
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

class NetworkKeys:
    """LENET = 'lenet', …: every network that there is; and those of the original that are not offered."""
    ALEXNET_V2: Literal['alexnet_v2']
    CIFARNET: Literal['cifarnet']
    INCEPTION_RESNET_V2: Literal['inception_resnet_v2']
    INCEPTION_V1: Literal['inception_v1']
    INCEPTION_V2: Literal['inception_v2']
    INCEPTION_V3: Literal['inception_v3']
    INCEPTION_V4: Literal['inception_v4']
    LENET: Literal['lenet']
    MOBILENET_V1: Literal['mobilenet_v1']
    MOBILENET_V1_025: Literal['mobilenet_v1_025']
    MOBILENET_V1_050: Literal['mobilenet_v1_050']
    MOBILENET_V1_075: Literal['mobilenet_v1_075']
    MOBILENET_V2: Literal['mobilenet_v2']
    MOBILENET_V2_035: Literal['mobilenet_v2_035']
    MOBILENET_V2_140: Literal['mobilenet_v2_140']
    NASNET_CIFAR: Literal['nasnet_cifar']
    NASNET_LARGE: Literal['nasnet_large']
    NASNET_MOBILE: Literal['nasnet_mobile']
    OVERFEAT: Literal['overfeat']
    PNASNET_LARGE: Literal['pnasnet_large']
    PNASNET_MOBILE: Literal['pnasnet_mobile']
    PVANET: Literal['pvanet']
    RESNET_V15_101: Literal['resnet_v15_101']
    RESNET_V15_152: Literal['resnet_v15_152']
    RESNET_V15_18: Literal['resnet_v15_18']
    RESNET_V15_34: Literal['resnet_v15_34']
    RESNET_V15_50: Literal['resnet_v15_50']
    RESNET_V1_101: Literal['resnet_v1_101']
    RESNET_V1_110: Literal['resnet_v1_110']
    RESNET_V1_152: Literal['resnet_v1_152']
    RESNET_V1_18: Literal['resnet_v1_18']
    RESNET_V1_20: Literal['resnet_v1_20']
    RESNET_V1_200: Literal['resnet_v1_200']
    RESNET_V1_50: Literal['resnet_v1_50']
    RESNET_V1_50_8K: Literal['resnet_v1_50_8k']
    RESNET_V1_50_MOX: Literal['resnet_v1_50_mox']
    RESNET_V1_50_OCT: Literal['resnet_v1_50_oct']
    RESNET_V1_KERAS_101: Literal['resnet_v1_keras_101']
    RESNET_V1_KERAS_152: Literal['resnet_v1_keras_152']
    RESNET_V1_KERAS_50: Literal['resnet_v1_keras_50']
    RESNET_V2_101: Literal['resnet_v2_101']
    RESNET_V2_152: Literal['resnet_v2_152']
    RESNET_V2_200: Literal['resnet_v2_200']
    RESNET_V2_50: Literal['resnet_v2_50']
    RESNET_V2_KERAS_101: Literal['resnet_v2_keras_101']
    RESNET_V2_KERAS_152: Literal['resnet_v2_keras_152']
    RESNET_V2_KERAS_50: Literal['resnet_v2_keras_50']
    RESNEXT_B_101: Literal['resnext_b_101']
    RESNEXT_B_50: Literal['resnext_b_50']
    RESNEXT_C_101: Literal['resnext_c_101']
    RESNEXT_C_50: Literal['resnext_c_50']
    VGG_16: Literal['vgg_16']
    VGG_16_BN: Literal['vgg_16_bn']
    VGG_19: Literal['vgg_19']
    VGG_19_BN: Literal['vgg_19_bn']
    VGG_A: Literal['vgg_a']
    VGG_A_BN: Literal['vgg_a_bn']

class ModelMeta(NamedTuple):
    """What get_model_meta tells of a network."""
    default_image_size: int
    default_labels_offset: int
    default_logits_pattern: str
    default_channels: int

def default_preprocess_fn(images: Any) -> Any:
    """Stands for the network's own preparation: in PREDICT and EXPORT, images become float and are resized."""

def get_model_fn(
    name: str,
    run_mode: str,
    num_classes: int,
    weight_decay: float = 0.0,
    data_format: str = 'NHWC',
    batch_norm_fused: bool = False,
    batch_renorm: bool = False,
    image_height: int | None = None,
    image_width: int | None = None,
    preprocess_fn: Callable[..., Any] | None = ...,
    dropout_keep_prob: float | None = None,
    drop_path_keep_prob: float | None = None,
    batch_norm_decay: float | None = None,
) -> Callable[[Any], tuple[Any, dict[str, Any]]]:
    """A function images -> (logits, end_points) that adds the network `name` to the graph.

    images are [batch, height, width, channels]; logits [batch, num_classes]; end_points a dict in the network's order.
    run_mode: dropout and the statistics of batch norm are those of TRAIN, or not. weight_decay: of the regularization losses
    (tf.losses.get_regularization_loss). data_format: in which the layers compute; images come in NHWC in either.
    batch_norm_fused: one operation for batch norm. batch_renorm: batch renormalization (Ioffe 2017) in TRAIN. image_height,
    image_width: what images are resized to in PREDICT and EXPORT; None: they are left as they are. preprocess_fn(images), or
    preprocess_fn(images, run_mode), is called first; with data_format='NCHW' it may return images in NCHW. None: nothing is done to
    the images, and they are not resized.
    dropout_keep_prob, drop_path_keep_prob, batch_norm_decay: None: the network's own.

    Raises InvalidArgumentError for a name that is none of NetworkKeys and for what the network does not take.
    """

def get_model_meta(name: str) -> ModelMeta:
    """Of the network `name` its usual image size, its labels' offset, and the pattern of its last layer's variables.

    Raises InvalidArgumentError, which lists the networks, for another name; UnsupportedError for one that is not offered.
    """
