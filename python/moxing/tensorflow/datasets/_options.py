"""Python's arguments of a data set as the engine takes them."""
import numpy as np

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.datasets._functions import graph_function


def check_callable(name, function):
    if function is not None and not callable(function):
        raise InvalidArgumentError(f"{name} must be a function, got {type(function).__name__} {function!r}")


def plain(name, value):
    """The value of a constant tensor; the manual lets some arguments be one."""
    if not tf.is_tensor(value):
        return value
    constant = tf.get_static_value(value)
    if constant is None:
        raise InvalidArgumentError(f"{name} is the tensor {value.name}, whose value is not known here; give a plain value")
    return constant.item()


def fill(options, **values):
    """Sets the fields; None leaves the default of C++."""
    for name, value in values.items():
        value = plain(name, value)
        if value is None:
            continue
        try:
            setattr(options, name, value)
        except (TypeError, RuntimeError):
            expected = type(getattr(options, name)).__name__
            raise InvalidArgumentError(f"{name} is {value!r}, expected {expected}") from None
    return options


def image_size_of(value):
    """One number, or (height, width)."""
    value = plain("image_size", value) if not isinstance(value, (tuple, list)) else value
    sizes = [value, value] if isinstance(value, (int, np.integer)) else list(value) if np.iterable(value) else []
    if len(sizes) != 2 or not all(isinstance(size, (int, np.integer)) for size in sizes):
        raise InvalidArgumentError(f"image_size is {value!r}, expected one number or (height, width)")
    return int(sizes[0]), int(sizes[1])


def _preprocess(preprocess_fn):
    names = ("image_name", "image_buf", "label", "label_desc")

    def call(given):
        results = preprocess_fn(*(given[name] for name in names))
        if not isinstance(results, (list, tuple)) or len(results) != len(names):
            raise InvalidArgumentError(f"preprocess_fn returned {results!r}; it takes and returns four tensors: "
                                       f"{', '.join(names)}")
        return list(results)

    return graph_function("preprocess_fn", call, len(names))


def fill_image_options(options, image_size, preprocess_fn, augmentation_fn, **values):
    check_callable("preprocess_fn", preprocess_fn)
    check_callable("augmentation_fn", augmentation_fn)
    fill(options, **values)
    if image_size is not None:
        options.set_image_size(*image_size_of(image_size))
    if preprocess_fn is not None:
        options.set_preprocess_fn(_preprocess(preprocess_fn))
    if augmentation_fn is not None:
        options.set_augmentation_fn(graph_function("augmentation_fn", lambda given: [augmentation_fn(given["image"])], 1))
    return options


def feature_of(key, feature):
    """tf.FixedLenFeature or tf.VarLenFeature as the engine takes it."""
    if isinstance(feature, tf.VarLenFeature):
        return engine.feature(tf.as_dtype(feature.dtype).as_datatype_enum, [], True, None)
    if not isinstance(feature, tf.FixedLenFeature):
        raise InvalidArgumentError(f"feature {key} is {feature!r}, expected a tf.FixedLenFeature or tf.VarLenFeature")
    dtype, shape = tf.as_dtype(feature.dtype), tf.TensorShape(feature.shape).as_list()
    default = None
    if feature.default_value is not None:
        value = np.broadcast_to(np.asarray(feature.default_value, dtype.as_numpy_dtype), shape)
        default = tf.make_tensor_proto(value, dtype, shape).SerializeToString()
    return engine.feature(dtype.as_datatype_enum, shape, False, default)
