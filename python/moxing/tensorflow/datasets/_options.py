"""Python's arguments of a data set as the engine takes them."""
import math

import numpy as np

from moxing._arguments import Integer, Kind, ListOf, Text, plain, refuse, shown, take
from moxing.errors import ArgumentTypeError, InvalidArgumentError
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.datasets._functions import graph_function


_SIDE = Integer(1, engine.MAX_IMAGE_SIDE)
_IMAGE_SIZE = Kind(f"one number or (height, width), each {_SIDE.expected}")


def image_size_of(value):
    """One number, or (height, width)."""
    given, value = value, plain(value)
    sizes = list(value) if np.iterable(value) and not isinstance(value, str) else [value, value]
    if len(sizes) != 2:
        refuse("", "image_size", given, _IMAGE_SIZE, TypeError())
    try:
        return _SIDE.take(sizes[0]), _SIDE.take(sizes[1])
    except (TypeError, ValueError) as e:
        refuse("", "image_size", given, _IMAGE_SIZE, e)


def feature_of(key, feature):
    """tf.FixedLenFeature or tf.VarLenFeature as the engine takes it."""
    if isinstance(feature, tf.VarLenFeature):
        return engine.feature(tf.as_dtype(feature.dtype).as_datatype_enum, [], True, None)
    if not isinstance(feature, tf.FixedLenFeature):
        raise InvalidArgumentError(f"feature {key} is {feature!r}, expected a tf.FixedLenFeature or tf.VarLenFeature")
    dtype = tf.as_dtype(feature.dtype)
    try:
        shape = tf.TensorShape(feature.shape).as_list()
        # As in C++: before the default value is repeated to fill it.
        fits = len(shape) <= 8 and all(size and size > 0 for size in shape) and math.prod(shape) <= 2**31
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InvalidArgumentError(f"feature {key} has the shape {shown(feature.shape)}, expected at most 8 known sizes from 1, no "
                                   "more than 2**31 values in all; tf.VarLenFeature is for values of any number")
    value = feature.default_value
    if tf.is_tensor(value):
        value = tf.get_static_value(value)
        if value is None:
            raise InvalidArgumentError(f"feature {key}: its default_value is {feature.default_value.name}, a tensor whose "
                                       "value is not known here; give a plain value")
    default = None
    if value is not None:
        value = np.broadcast_to(np.asarray(value, dtype.as_numpy_dtype), shape)
        default = tf.make_tensor_proto(value, dtype, shape).SerializeToString()
    return engine.feature(dtype.as_datatype_enum, shape, False, default)


class _Features(Kind):
    def take(self, value):
        return list(value)


_FEATURES = _Features("a list of tf.FixedLenFeature and tf.VarLenFeature")


def paired_features(keys_name, keys, values_name, values):
    """Two lists of the same length as [(key, feature)]."""
    keys = take("", keys_name, keys or [], ListOf(Text("the name of a feature")))
    values = take("", values_name, values or [], _FEATURES)
    if len(keys) != len(values):
        raise InvalidArgumentError(f"there are {len(keys)} {keys_name} and {len(values)} {values_name}; expected one value a key")
    return list(zip(keys, values))


def _preprocess(preprocess_fn):
    names = ("image_name", "image_buf", "label", "label_desc")

    def call(given):
        results = preprocess_fn(*(given[name] for name in names))
        if not isinstance(results, (list, tuple)) or len(results) != len(names):
            raise InvalidArgumentError(f"preprocess_fn returned {results!r}; it takes and returns four tensors: "
                                       f"{', '.join(names)}")
        return list(results)

    return graph_function("preprocess_fn", call, len(names))


def _augmentation(augmentation_fn):
    return graph_function("augmentation_fn", lambda given: [augmentation_fn(given["image"])], 1)


def _function(make):
    def set_function(options, name, function):
        if not callable(function):
            raise ArgumentTypeError(f"{name} must be a function, got {type(function).__name__} {shown(function)}")
        getattr(options, "set_" + name)(make(function))

    return set_function


def range_of(name):
    """What the table of options says of that number."""
    return next(Integer(option["low"], option["high"]) for option in engine.RawDatasetOptions.options if option["name"] == name)


_READER_NUMBERS = {name: range_of(name) for name in ("num_readers", "capacity")}


def _reader_kwargs(options, name, given):
    if not isinstance(given, dict):
        raise ArgumentTypeError(f"{name} is {shown(given)}, expected a dict such as {{'num_readers': 16}}")
    numbers = {}
    for key, value in given.items():
        if key not in _READER_NUMBERS:
            raise InvalidArgumentError(f"{name} has no {shown(key)}; it has: {', '.join(_READER_NUMBERS)}")
        numbers[key] = take(name, key, value, _READER_NUMBERS[key])
    options.reader_kwargs = numbers


def _reader_class(options, name, reader_class):
    if not isinstance(reader_class, (str, type)):
        raise InvalidArgumentError(f"{name} is {reader_class!r}, expected mox.AsyncRawGenerator or mox.ParallelReader")
    options.reader_class = reader_class if isinstance(reader_class, str) else reader_class.__name__


# The arguments that are no plain values; how each gets into the options.
_SETTERS = {
    "image_size": lambda options, name, value: options.set_image_size(*image_size_of(value)),
    "preprocess_fn": _function(_preprocess),
    "augmentation_fn": _function(_augmentation),
    "reader_class": _reader_class,
    "reader_kwargs": _reader_kwargs,
}


def fill(options, arguments):
    """Sets the fields of the engine's options; the arguments were checked by @takes. None leaves the default of C++."""
    for name, value in arguments.items():
        if value is not None:
            _SETTERS.get(name, setattr)(options, name, value)
    return options


def engine_metadata(metadata, *classes):
    """What the metadata of Python holds; an error for metadata of another kind of data set."""
    expected = " or ".join("mox." + c.__name__ for c in classes)
    if metadata is None:
        raise InvalidArgumentError(f"metadata is needed: a {expected}")
    if not isinstance(metadata, classes):
        raise InvalidArgumentError(f"metadata is {metadata!r}, expected a {expected}")
    if not hasattr(metadata, "_metadata"):
        raise InvalidArgumentError(f"{type(metadata).__name__} has not called super().__init__ yet")
    return metadata._metadata
