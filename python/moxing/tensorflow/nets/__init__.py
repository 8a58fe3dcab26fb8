"""The built-in networks. They are written once, in C++, and imported into the graph."""
from collections.abc import Callable
from typing import Any, NamedTuple

from moxing._arguments import Integer, Number, Switch, Text, checked, shown
from moxing.errors import ArgumentTypeError, InvalidArgumentError, UnsupportedError
from moxing.tensorflow._fragments import image_tensor, import_fragment, shape_list
from moxing.tensorflow._graph_state import fragment_seed, state_of
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.executor.user_functions import call_preprocess_fn


class ModelMeta(NamedTuple):
    """What get_model_meta tells of a network."""

    default_image_size: int
    default_labels_offset: int   # 1: the network's classes leave out ImageNet's background class
    default_logits_pattern: str  # of the last layer's variables
    default_channels: int


class NetworkKeys:
    """LENET = 'lenet', …: every network that there is; and those of the original that are not offered."""

    RESNET_V1_50_MOX = "resnet_v1_50_mox"
    RESNET_V1_50_OCT = "resnet_v1_50_oct"


def check_offered(name):
    if name in (NetworkKeys.RESNET_V1_50_MOX, NetworkKeys.RESNET_V1_50_OCT):
        raise UnsupportedError(f"the network {name}, which was never published, is not offered; resnet_v1_50 is nearest")


def note_network_keys():
    for name in engine.network_names():
        setattr(NetworkKeys, name.upper(), name)


note_network_keys()


@checked
def get_model_meta(name: Text("the name of a network")) -> ModelMeta:
    """Of the network `name` its usual image size, its labels' offset, and the pattern of its last layer's variables.

    Raises InvalidArgumentError, which lists the networks, for another name; UnsupportedError for one that is not offered.
    """
    check_offered(name)
    return ModelMeta(*engine.model_meta(name))


def default_preprocess_fn(images: "Any") -> "Any":
    """Stands for the network's own preparation: in PREDICT and EXPORT, images become float and are resized."""
    raise InvalidArgumentError("default_preprocess_fn is a value for get_model_fn's preprocess_fn, not a function to call")


_SIDE = Integer(1, engine.MAX_IMAGE_SIDE)
_PART = Number(0, 1)


@checked
def get_model_fn(name: Text("the name of a network"), run_mode: Text("TRAIN, EVAL or PREDICT"),
                 num_classes: Integer(1, engine.MAX_CLASSES), weight_decay: Number(0, 1e6) = 0.0,
                 data_format: Text("'NHWC' or 'NCHW'") = "NHWC", batch_norm_fused: Switch() = False, batch_renorm: Switch() = False,
                 image_height: _SIDE = None, image_width: _SIDE = None, preprocess_fn: "Callable[..., Any] | None" = default_preprocess_fn,
                 dropout_keep_prob: _PART = None, drop_path_keep_prob: _PART = None, batch_norm_decay: _PART = None) -> "Callable[[Any], tuple[Any, dict[str, Any]]]":
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
    check_offered(name)
    options = engine.ModelFnOptions()
    options.weight_decay = weight_decay
    options.data_format = data_format
    options.batch_norm_fused = batch_norm_fused
    options.batch_renorm = batch_renorm
    options.image_height = image_height or 0
    options.image_width = image_width or 0
    options.preprocess = preprocess_fn is default_preprocess_fn
    options.batch_norm_decay = batch_norm_decay or 0
    options.dropout_keep_prob = dropout_keep_prob or 0
    options.drop_path_keep_prob = drop_path_keep_prob or 0
    if preprocess_fn is not None and not callable(preprocess_fn):
        raise ArgumentTypeError(f"get_model_fn: preprocess_fn is {shown(preprocess_fn)}, expected a function of images, or None")
    engine.check_network(name, run_mode, num_classes, options)

    def model_fn(images):
        if preprocess_fn is not None and preprocess_fn is not default_preprocess_fn:
            images = call_preprocess_fn(preprocess_fn, images, run_mode)
        images = image_tensor(images, f"network {name}")
        forced = state_of().force_dtypes
        device = state_of().device if data_format == "NCHW" else ""  # which decides whether layers transpose
        fragment = engine.network(name, run_mode, num_classes, options, images.dtype.as_datatype_enum, shape_list(images.shape),
                                  forced[-1].as_datatype_enum if forced else 0, fragment_seed(), device)
        (_, logits), *end_points = import_fragment(fragment, name, [images])
        return logits, dict(end_points)

    return model_fn
