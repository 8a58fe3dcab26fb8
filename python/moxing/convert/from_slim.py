"""TF-slim's checkpoints, the old single-file ones too, and MoXing's: their variables are ours."""
import re

from moxing.convert.arrays import Array, Source
from moxing.convert.layers import Variables
from moxing.errors import DataError, UnsupportedError
from moxing.tensorflow import get_model_meta
from moxing.tensorflow.nets import NetworkKeys

_SCOPES = {"InceptionV1": "inception_v1", "InceptionV2": "inception_v2", "InceptionV3": "inception_v3", "InceptionV4": "inception_v4",
           "InceptionResnetV2": "inception_resnet_v2", "LeNet": "lenet", "CifarNet": "cifarnet"}


def read_checkpoint(prefix):
    """The Source of a checkpoint, given as TensorFlow is given it: a prefix, or an old file."""
    import tensorflow.compat.v1 as tf
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as e:
        raise DataError(f"{prefix} cannot be read as a checkpoint of TensorFlow: {str(e).splitlines()[0]}") from None

    def read(name):
        try:
            return reader.get_tensor(name)
        except (tf.errors.OpError, ValueError, RuntimeError) as e:
            raise DataError(f"{prefix}: {name} cannot be read: {str(e).splitlines()[0]}") from None

    return Source(prefix, "TF-slim", {name: Array(name, shape, lambda name=name: read(name)) for name, shape in shapes.items()})


def _known():
    return {value for key, value in vars(NetworkKeys).items() if key.isupper()}


def _of_width(source, key, names):
    shape = source.shape(key)
    return names.get(shape[-1]) if shape else None


def network_of(source):
    """The name of our network, None when the variables are nobody's."""
    scopes = {name.partition("/")[0] for name in source.arrays}
    for scope in sorted(scopes):
        if scope in _SCOPES or scope in _known():
            return _SCOPES.get(scope, scope)
    name = _of_width(source, "MobilenetV1/Conv2d_13_pointwise/weights",
                     {1024: "mobilenet_v1", 768: "mobilenet_v1_075", 512: "mobilenet_v1_050", 256: "mobilenet_v1_025"})
    name = name or _of_width(source, "MobilenetV2/expanded_conv_16/project/weights",
                             {320: "mobilenet_v2", 448: "mobilenet_v2_140", 112: "mobilenet_v2_035"})
    kind = "nasnet" if "reduction_cell_0" in scopes else "pnasnet"
    if "cell_stem_0" in scopes:
        name = _of_width(source, "conv0/weights", {32: f"{kind}_mobile", 96: f"{kind}_large"})
    return name


def head_classes(source, name):
    """How many classes the last layer has; None without one."""
    pattern = get_model_meta(name).default_logits_pattern
    sizes = [shape.shape[0] for key, shape in source.arrays.items()
             if key.endswith("/biases") and re.search(pattern, key) and not re.search(r"AuxLogits|aux_", key)]
    return sizes[0] if len(set(sizes)) == 1 else None


def variables_of(source, name, own_variables, rgb):
    """Of the names that the network has. `rgb` is for files of Keras."""
    found = Variables({variable: source.take(variable) for variable in own_variables if variable in source})
    if not found:
        raise UnsupportedError(f"{source.path} has no variable of {name}")
    return found
