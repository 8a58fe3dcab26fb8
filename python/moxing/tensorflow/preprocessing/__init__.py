"""What is done to an image before a network sees it, by the network's name."""
from collections.abc import Callable
from typing import Any

from moxing._arguments import Integer, ListOf, Number, Text, checked, set_field
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._fragments import image_tensor, import_fragment, shape_list
from moxing.tensorflow._graph_state import fragment_seed
from moxing.tensorflow._runtime import engine, tf


class PreprocessingKeys:
    """LENET = 'lenet_preprocessing', …"""


def note_preprocessing_keys():
    for name in engine.preprocessing_names():
        setattr(PreprocessingKeys, name.upper(), engine.preprocessing_meta(name)[0])


note_preprocessing_keys()


@checked
def get_data_augmentation_fn(name: Text("the name of a network"), run_mode: Text("TRAIN, EVAL or PREDICT"),
                             output_height: Integer(0, engine.MAX_IMAGE_SIDE) = None,
                             output_width: Integer(0, engine.MAX_IMAGE_SIDE) = None,
                             **kwargs: "Any") -> "Callable[[Any], tf.Tensor]":
    """A function image -> image on one [height, width, channels] image: random in TRAIN, the same each time otherwise.

    name: of a network, or one of PreprocessingKeys. run_mode: TRAIN, EVAL or PREDICT. output_height, output_width: of what the
    function returns; None: the network's usual size.
    kwargs: resize_side_min, resize_side_max, fast_mode, central_fraction, area_min, padding; each preprocessing reads its
    own. Of all, in TRAIN: augment ("default", "none" or "randaugment"), crop_scale, hflip, vflip, color_jitter, random_erasing,
    which take the place of what the preprocessing has for them (docs/preprocessing.md). Raises InvalidArgumentError for others.
    """
    options = engine.AugmentationOptions()
    for key, value in kwargs.items():
        if key.startswith("_") or not hasattr(options, key):
            known = ", ".join(k for k in dir(options) if not k.startswith("_"))
            raise InvalidArgumentError(f"get_data_augmentation_fn has no argument '{key}'; there are also: {known}")
        set_field(options, key, value, "get_data_augmentation_fn")
    height, width = output_height or 0, output_width or 0
    engine.check_augmentation(name, run_mode, height, width, options)

    def augmentation_fn(image):
        image = image_tensor(image, f"the preprocessing of {name}")
        fragment = engine.augmentation(name, run_mode, height, width, options, image.dtype.as_datatype_enum,
                                       shape_list(image.shape), fragment_seed())
        return import_fragment(fragment, "augment_" + name, [image])[0][1]

    return augmentation_fn


@checked
def mix_batch(images: "Any", labels: "Any", mixup: Number(0, 1000) = 0,
              cutmix: Number(0, 1000) = 0) -> "tuple[tf.Tensor, tf.Tensor]":
    """(images, labels), each image made of two of the batch: mixup (Zhang et al. 2017) or CutMix (Yun et al. 2019).

    images: float [batch, height, width, channels]; labels: float [batch, classes], a distribution a row (tf.one_hot). mixup: each
    image becomes x * itself + (1 - x) * another one, x drawn from Beta(mixup, mixup). cutmix: a box of another image is pasted,
    1 - x of the area, x drawn from Beta(cutmix, cutmix). With both, a batch is mixed in one of the two ways. Labels are mixed as
    their images. Call it in model_fn in TRAIN: a training that goes on draws the same. With neither, both are returned as they are.
    Raises InvalidArgumentError for what is not float32.
    """
    images, labels = image_tensor(images, "mix_batch"), image_tensor(labels, "mix_batch")
    for what, tensor in (("images", images), ("labels", labels)):
        if tensor.dtype.base_dtype.name != "float32":
            raise InvalidArgumentError(f"mix_batch: {what} are {tensor.dtype.base_dtype.name}, expected float32; tf.cast makes it")
    if not mixup and not cutmix:
        return images, labels
    options = engine.MixOptions()
    options.mixup, options.cutmix = mixup, cutmix
    fragment = engine.mix_batch(options, shape_list(images.shape), shape_list(labels.shape), fragment_seed())
    return tuple(tensor for _, tensor in import_fragment(fragment, "mix_batch", [images, labels]))


@checked
def balanced_class_weights(counts: ListOf(Integer(0, 2**53))) -> "list[float]":
    """A weight for each class of these counts, samples of each class in the order of the labels: samples / (classes that have some * samples of the class); 0 for one without.

    For losses of data whose classes are not equally frequent: tf.losses.…(…, weights=tf.gather(weights, labels)).
    """
    return engine.balanced_class_weights(counts)
