"""TFRecord files of tf.Example: image data sets as TF-slim writes them, and data sets of any features."""
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.datasets._functions import graph_function
from moxing.tensorflow.datasets._options import feature_of, fill, fill_image_options, image_size_of
from moxing.tensorflow.datasets.base import Dataset


def _patterns(file_pattern, file_patterns):
    """The manual calls the argument both names; one pattern or a list."""
    patterns = file_pattern if file_pattern is not None else file_patterns
    if patterns is None:
        raise InvalidArgumentError("file_pattern is needed: which files of base_dir to read, e.g. '*train*.tfrecord'")
    return [patterns] if isinstance(patterns, str) else list(patterns)


class BaseTFRecordMetadata:
    """The files of base_dir that match. num_samples is counted from the record headers when it is not given."""

    def __init__(self, base_dir, file_pattern=None, num_samples=None, redirect_dir=None, file_patterns=None):
        self._metadata = engine.TFRecordMetadata(base_dir, _patterns(file_pattern, file_patterns), num_samples or 0,
                                                 redirect_dir or "")

    @property
    def num_samples(self):
        return self._metadata.total_num_samples

    total_num_samples = num_samples


class ImageClassificationTFRecordMetadata(BaseTFRecordMetadata):
    """The classes are those of label_map_file in base_dir, where it is."""

    def __init__(self, base_dir, file_pattern=None, num_samples=None, redirect_dir=None, num_classes=0,
                 label_map_file="labels.txt", file_patterns=None):
        self._metadata = engine.ImageTFRecordMetadata(base_dir, _patterns(file_pattern, file_patterns), num_samples or 0,
                                                      redirect_dir or "", num_classes or 0, label_map_file or "")

    @property
    def num_classes(self):
        return self._metadata.num_classes

    @property
    def labels_list(self):
        return self._metadata.labels_list

    @property
    def names_to_labels(self):
        return self._metadata.names_to_labels

    @property
    def labels_to_names(self):
        return self._metadata.labels_to_names


def tensor_handler(feature):
    """An item that is the feature as it is."""
    return engine.tensor_handler(feature)


def image_handler(feature="image/encoded", size=None):
    """An item that is the feature's bytes, decoded to a uint8 image [height, width, 3]."""
    return engine.image_handler(feature, None if size is None else image_size_of(size))


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
        if decode is None:
            return [handler(given)]
        # TF-slim's handlers take features of any length as tf.parse_example gives them.
        for key, feature in features.items():
            if isinstance(feature, tf.VarLenFeature):
                count = tf.size(given[key], out_type=tf.int64)
                given[key] = tf.SparseTensor(tf.expand_dims(tf.range(count), 1), given[key], tf.expand_dims(count, 0))
        return [decode(given)]

    return engine.item_function(graph_function(f"the handler of item {item}", call, 1))


class BaseTFRecordDataset(Dataset):
    """Records of any features: give keys_to_features and items_to_handlers, or subclass it and override the two methods.

    keys_to_features: {feature: tf.FixedLenFeature or tf.VarLenFeature}. items_to_handlers: {item: a feature's name,
    tensor_handler, image_handler, a function {feature: tensor} -> tensor, or a handler of TF-slim's}. get() takes the items.
    A function gets a feature of any length as a vector.
    """

    def __init__(self, metadata=None, keys_to_features=None, items_to_handlers=None, batch_size=None, shuffle=True,
                 shuffle_buffer_size=6400, num_parallel=8, num_epochs=None, cache_dir=None, remove_cache_on_finish=True,
                 private_num_threads=0, preprocess_threads=12, drop_remainder=False, seed=None, max_broken_samples=0,
                 shard_index=None, num_shards=None, meta=None):
        self._metadata = _metadata_of(metadata, meta)
        self._features = keys_to_features
        self._items = items_to_handlers
        self._options = fill(
            engine.TFRecordDatasetOptions(), batch_size=batch_size, shuffle=shuffle,
            shuffle_buffer_size=shuffle_buffer_size, num_parallel=num_parallel, num_epochs=num_epochs, cache_dir=cache_dir,
            remove_cache_on_finish=remove_cache_on_finish, private_num_threads=private_num_threads,
            preprocess_threads=preprocess_threads, drop_remainder=drop_remainder, seed=seed,
            max_broken_samples=max_broken_samples, shard_index=shard_index, num_shards=num_shards)
        self._made = None

    def keys_to_features(self):
        return self._features

    def items_to_handlers(self):
        return self._items

    @property
    def _dataset(self):
        """Made at first use: a subclass's constructor is through by then."""
        if self._made is None:
            features, items = self.keys_to_features(), self.items_to_handlers()
            for name, value in (("keys_to_features", features), ("items_to_handlers", items)):
                if not value:
                    raise InvalidArgumentError(f"{type(self).__name__} has no {name}: give it, or override the method")
            self._made = engine.tfrecord_dataset(
                self._metadata._metadata, {key: feature_of(key, feature) for key, feature in features.items()},
                [(item, _item_handler(item, handler, features)) for item, handler in items.items()], self._options)
        return self._made


def _metadata_of(metadata, meta):
    given = metadata if metadata is not None else meta
    if given is None:
        raise InvalidArgumentError("metadata is needed: what a class such as mox.BaseTFRecordMetadata makes")
    return given


def get_tfrecord(dataset_dir, file_pattern, keys_to_features, items_to_handlers, num_samples=None, num_epochs=None,
                 shuffle=True, **kwargs):
    """The data set of the files in dataset_dir that match. kwargs: the further arguments of BaseTFRecordDataset."""
    return BaseTFRecordDataset(BaseTFRecordMetadata(dataset_dir, file_pattern, num_samples), keys_to_features,
                               items_to_handlers, num_epochs=num_epochs, shuffle=shuffle, **kwargs)


class ImageClassificationTFRecordDataset(Dataset):
    """image/encoded and image/class/label as TF-slim writes them.

    Keys: image, label, label_desc, image_name, and the custom_feature_keys, whose custom_feature_values are
    tf.FixedLenFeature or tf.VarLenFeature.
    """

    def __init__(self, metadata=None, batch_size=None, shuffle=True, shuffle_buffer_size=6400, num_parallel=8, num_epochs=None,
                 cache_dir=None, preprocess_fn=None, image_size=None, remove_cache_on_finish=True, private_num_threads=0,
                 custom_feature_keys=None, custom_feature_values=None, drop_remainder=False, augmentation_fn=None,
                 label_one_hot=False, preprocess_threads=12, seed=None, max_broken_samples=0, apply_exif_orientation=False,
                 shard_index=None, num_shards=None, meta=None):
        options = fill_image_options(
            engine.ImageTFRecordDatasetOptions(), image_size, preprocess_fn, augmentation_fn, batch_size=batch_size,
            shuffle=shuffle, shuffle_buffer_size=shuffle_buffer_size, num_parallel=num_parallel, num_epochs=num_epochs,
            cache_dir=cache_dir, remove_cache_on_finish=remove_cache_on_finish, private_num_threads=private_num_threads,
            drop_remainder=drop_remainder, label_one_hot=label_one_hot, preprocess_threads=preprocess_threads, seed=seed,
            max_broken_samples=max_broken_samples, apply_exif_orientation=apply_exif_orientation, shard_index=shard_index,
            num_shards=num_shards)
        keys, values = list(custom_feature_keys or []), list(custom_feature_values or [])
        options.custom_feature_keys = keys
        options.set_custom_feature_values([feature_of(*pair) for pair in zip(keys + [""] * len(values), values)])
        super().__init__(engine.image_tfrecord_dataset(_metadata_of(metadata, meta)._metadata, options))
