"""TFRecord files of tf.Example: image data sets as TF-slim writes them, and data sets of any features."""
import functools
import inspect
from typing import Any

from moxing._arguments import Integer, ListOf, PathText, Text, checked, shown
from moxing.errors import ArgumentTypeError, InvalidArgumentError
from moxing.tensorflow._options import other, takes
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.datasets._functions import func_graph, graph_function
from moxing.tensorflow.datasets._options import engine_metadata, feature_of, fill, image_size_of, paired_features, range_of
from moxing.tensorflow.datasets.base import Dataset, NamedClasses


_FOLDER = PathText()
_PATTERNS = ListOf(Text("a pattern"), or_one=True)
_SAMPLES = Integer(0, engine.MAX_SAMPLES)


def _patterns(file_pattern, file_patterns):
    """The manual calls the argument both names; one pattern or a list."""
    patterns = file_pattern if file_pattern is not None else file_patterns
    if patterns is None:
        raise InvalidArgumentError("file_pattern is needed: which files of base_dir to read, e.g. '*train*.tfrecord'")
    return patterns


class BaseTFRecordMetadata:
    """The TFRecord files of base_dir that match file_pattern: one pattern (*, ?, [..]), or a list of them.

    num_samples: counted from the record headers when it is not given. redirect_dir: read the files from this copy of base_dir.
    file_patterns: another name of file_pattern.

    Raises NotFoundError when no file matches, DataError when all of them are empty or no record can be read.
    """

    @checked
    def __init__(self, base_dir: _FOLDER, file_pattern: _PATTERNS = None, num_samples: _SAMPLES = None, redirect_dir: _FOLDER = None,
                 file_patterns: _PATTERNS = None):
        self._metadata = engine.TFRecordMetadata(base_dir, _patterns(file_pattern, file_patterns), num_samples or 0, redirect_dir or "")

    @property
    def num_samples(self) -> int:
        """Records of all files."""
        return self._metadata.total_num_samples

    total_num_samples = num_samples


class ImageClassificationTFRecordMetadata(NamedClasses, BaseTFRecordMetadata):
    """The TFRecord files of images that match; the classes are those of label_map_file in base_dir, where it is.

    base_dir, file_pattern, file_patterns, num_samples, redirect_dir: as BaseTFRecordMetadata. num_classes: 0: as many as
    label_map_file names. label_map_file: used when it is there.

    Raises what BaseTFRecordMetadata raises, and InvalidArgumentError when num_classes and label_map_file do not agree.
    """

    @checked
    def __init__(self, base_dir: _FOLDER, file_pattern: _PATTERNS = None, num_samples: _SAMPLES = None, redirect_dir: _FOLDER = None,
                 num_classes: Integer(0, engine.MAX_CLASSES).or_none() = 0, label_map_file: Text().or_none() = "labels.txt",
                 file_patterns: _PATTERNS = None):
        self._metadata = engine.ImageTFRecordMetadata(base_dir, _patterns(file_pattern, file_patterns), num_samples or 0,
                                                      redirect_dir or "", num_classes or 0, label_map_file or "")


@checked
def tensor_handler(feature: Text("the name of a feature")) -> "Any":
    """For items_to_handlers of BaseTFRecordDataset: an item that is the feature of this name as it is."""
    return engine.tensor_handler(feature)


@checked
def image_handler(feature: Text("the name of a feature") = "image/encoded", size: "int | tuple[int, int] | None" = None) -> "Any":
    """For items_to_handlers of BaseTFRecordDataset: an item that is the bytes of the feature, decoded to a uint8 image [height, width, 3].

    size: one number or (height, width), to which it is resized; None: as it is.
    """
    return engine.image_handler(feature, None if size is None else image_size_of(size))


_RECORD = ""  # the feature that is the record itself
_WHOLE_RECORD = {_RECORD: tf.FixedLenFeature([], tf.string)}


def _as_parsed(tensors, features):
    """Features of any length, which C++ gives as vectors, as tf.parse_example does: sparse."""
    parsed = dict(tensors)
    for key, feature in features.items():
        if isinstance(feature, tf.VarLenFeature):
            count = tf.size(tensors[key], out_type=tf.int64)
            parsed[key] = tf.SparseTensor(tf.expand_dims(tf.range(count), 1), tensors[key], tf.expand_dims(count, 0))
    return parsed


def _item_handler(item, handler, features):
    if isinstance(handler, engine.ItemHandler):
        return handler
    if isinstance(handler, str):
        return tensor_handler(handler)
    decode = getattr(handler, "tensors_to_item", None)
    if decode is None and not callable(handler):
        raise InvalidArgumentError(f"the handler of item {item} is {handler!r}; expected a feature's name, a function of "
                                   "{feature: tensor}, or an object with tensors_to_item, as TF-slim's are")

    def call(given):
        return [handler(given) if decode is None else decode(_as_parsed(given, features))]

    return engine.item_function(graph_function(f"the handler of item {item}", call, 1))


class BaseTFRecordDataset(Dataset):
    """Records of any features: give keys_to_features and items_to_handlers, or subclass it.

    keys_to_features: {feature: tf.FixedLenFeature or tf.VarLenFeature}, or feature_keys and feature_values, two lists.
    items_to_handlers: {item: a feature's name, tensor_handler, image_handler, a function {feature: tensor} -> tensor, or a
    handler of TF-slim's}. A function gets a feature of any length as a vector. get() takes the items.

    A subclass overrides the methods keys_to_features and items_to_handlers; or _build_features(self, *features), which gets
    the tensors of feature_keys, in their order, and calls self._add_feature(item, tensor) for each item. Older ones are
    called _build_feature, and have _parser(self, record), which gives what it takes.

    metadata, or meta: a BaseTFRecordMetadata. num_readers is num_parallel. Raises InvalidArgumentError at get() when either of
    keys_to_features and items_to_handlers is missing.
    """

    _build_features = _build_feature = None
    _parser = None

    @takes(engine.TFRecordDatasetOptions.options,
           ["batch_size", "shuffle", "shuffle_buffer_size", "num_parallel", "num_epochs", "cache_dir", "remove_cache_on_finish",
            "private_num_threads", "preprocess_threads", "drop_remainder", "seed", "max_broken_samples", "shard_index",
            "num_shards", other("meta", None, "Any"), other("feature_keys", None, "Sequence[str] | None"),
            other("feature_values", None, "Sequence[Any] | None"),
            other("num_readers", None, range_of("num_readers"))])
    def __init__(self, metadata: "Any" = None, keys_to_features: "dict[str, Any] | None" = None,
                 items_to_handlers: "dict[str, Any] | None" = None, *, meta=None, feature_keys=None, feature_values=None,
                 num_readers=None, **options):
        if num_readers is not None:
            options["num_parallel"] = num_readers
        self._options = fill(engine.TFRecordDatasetOptions(), options)
        self._records = engine_metadata(metadata if metadata is not None else meta, BaseTFRecordMetadata)
        self._features = keys_to_features
        if feature_keys is not None or feature_values is not None:
            self._features = dict(paired_features("feature_keys", feature_keys, "feature_values", feature_values))
        self._items = items_to_handlers
        self._added = None
        self._made = None

    def keys_to_features(self) -> "dict[str, Any] | None":
        """The features that are parsed; a subclass may override it."""
        return self._features

    def items_to_handlers(self) -> "dict[str, Any] | None":
        """The items that get takes, and how they are made; a subclass may override it."""
        return self._items

    def _add_feature(self, item, tensor):
        if self._added is None:
            raise InvalidArgumentError(f"_add_feature('{item}', …) belongs into _build_features")
        self._added[item] = tensor

    def _items_of(self, tensors, features):
        """What _build_features adds for one record: {item: tensor}."""
        parsed = _as_parsed(tensors, features)
        self._added = {}
        try:
            values = (parsed[key] for key in features) if self._parser is None else self._parser(tensors[_RECORD])
            self._builder()(*values)
            return self._added
        finally:
            self._added = None

    def _builder(self):
        return self._build_features or self._build_feature

    def _of_build_features(self, features, engine_features):
        with func_graph.FuncGraph("_build_features").as_default():
            names = list(self._items_of({key: tf.placeholder(f.dtype, getattr(f, "shape", [None]))
                                         for key, f in features.items()}, features))
        if not names:
            raise InvalidArgumentError(f"{type(self).__name__}._build_features has not called _add_feature")

        def call(given):
            items = self._items_of(given, features)
            return [items[name] for name in names]

        function = graph_function(f"{type(self).__name__}._build_features", call, len(names))
        return engine.tfrecord_dataset_of_function(self._records, engine_features, names, function, self._options)

    @property
    def _dataset(self):
        """Made at first use: a subclass's constructor is through by then."""
        if self._made is None:
            features = self._needed("keys_to_features", _WHOLE_RECORD if self._parser is not None else self.keys_to_features())
            engine_features = {key: feature_of(key, feature) for key, feature in features.items()}
            if self._builder() is not None:
                self._made = self._of_build_features(features, engine_features)
            else:
                items = self._needed("items_to_handlers", self.items_to_handlers())
                handlers = [(item, _item_handler(item, handler, features)) for item, handler in items.items()]
                self._made = engine.tfrecord_dataset(self._records, engine_features, handlers, self._options)
        return self._made

    def _needed(self, name, value):
        if not value:
            raise InvalidArgumentError(f"{type(self).__name__} has no {name}: give it, or override the method")
        if not isinstance(value, dict):
            raise ArgumentTypeError(f"{type(self).__name__}: {name} is {shown(value)}, expected a dict")
        return value


@checked
def get_tfrecord(dataset_dir: _FOLDER, file_pattern: _PATTERNS, keys_to_features: "dict[str, Any]",
                 items_to_handlers: "dict[str, Any]", num_samples: _SAMPLES = None, num_epochs: "int | None" = None,
                 shuffle: bool = True, **kwargs: "Any") -> BaseTFRecordDataset:
    """The data set of the files in dataset_dir that match file_pattern.

    num_samples: of BaseTFRecordMetadata. keys_to_features, items_to_handlers, num_epochs, shuffle, kwargs: of BaseTFRecordDataset.
    Raises what the two raise.
    """
    return BaseTFRecordDataset(BaseTFRecordMetadata(dataset_dir, file_pattern, num_samples), keys_to_features,
                               items_to_handlers, num_epochs=num_epochs, shuffle=shuffle, **kwargs)


class ImageClassificationTFRecordDataset(Dataset):
    """Images of TFRecord files: image/encoded and image/class/label as TF-slim writes them.

    metadata, or meta: an ImageClassificationTFRecordMetadata, or a BaseTFRecordMetadata of files that tell nothing of classes.
    Keys: image, label, label_desc, image_name, and the custom_feature_keys, whose custom_feature_values are
    tf.FixedLenFeature or tf.VarLenFeature. Older scripts give keys_to_features and items_to_handlers after the metadata: that
    is a BaseTFRecordDataset.
    """

    def __new__(cls, *args, **kwargs):
        if cls is ImageClassificationTFRecordDataset and (len(args) > 1 and isinstance(args[1], dict) or "keys_to_features" in kwargs):
            return BaseTFRecordDataset(*args, **kwargs)  # no instance: its __init__ was called, ours is not
        return super().__new__(cls)

    @takes(engine.ImageTFRecordDatasetOptions.options,
           ["batch_size", "shuffle", "shuffle_buffer_size", "num_parallel", "num_epochs", "cache_dir", "preprocess_fn",
            "image_size", "remove_cache_on_finish", "private_num_threads", "custom_feature_keys", "custom_feature_values",
            "drop_remainder", "augmentation_fn", "label_one_hot", "preprocess_threads", "seed", "max_broken_samples",
            "apply_exif_orientation", "shard_index", "num_shards", other("meta", None, "Any")])
    def __init__(self, metadata: "Any" = None, *, custom_feature_keys=None, custom_feature_values=None, meta=None, **options):
        options = fill(engine.ImageTFRecordDatasetOptions(), options)
        custom = paired_features("custom_feature_keys", custom_feature_keys, "custom_feature_values", custom_feature_values)
        options.custom_feature_keys = [key for key, _ in custom]
        options.set_custom_feature_values([feature_of(*pair) for pair in custom])
        records = engine_metadata(metadata if metadata is not None else meta, BaseTFRecordMetadata)
        super().__init__(engine.image_tfrecord_dataset(records, options))


# Not __new__'s, which hands on what it gets.
ImageClassificationTFRecordDataset.__signature__ = inspect.signature(functools.partial(ImageClassificationTFRecordDataset.__init__, None))
