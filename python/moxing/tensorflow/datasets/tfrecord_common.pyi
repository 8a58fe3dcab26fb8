"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets.tfrecord_common` gives; not to be changed by hand."""
from collections.abc import Callable, Sequence
from typing import Any, Literal
import os
from moxing.tensorflow.datasets.base import Dataset
from moxing.tensorflow.datasets.base import NamedClasses

class BaseTFRecordMetadata:
    """The TFRecord files of base_dir that match file_pattern: one pattern (*, ?, [..]), or a list of them.

    num_samples: counted from the record headers when it is not given. redirect_dir: read the files from this copy of base_dir.
    file_patterns: another name of file_pattern.

    Raises NotFoundError when no file matches, DataError when all of them are empty or no record can be read.
    """
    def __init__(
        self,
        base_dir: str | bytes | os.PathLike[Any],
        file_pattern: str | Sequence[str] | None = None,
        num_samples: int | None = None,
        redirect_dir: str | bytes | os.PathLike[Any] | None = None,
        file_patterns: str | Sequence[str] | None = None,
    ) -> None: ...
    @property
    def num_samples(self) -> int:
        """Records of all files."""
    @property
    def total_num_samples(self) -> int:
        """Records of all files."""

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
    def __init__(
        self,
        metadata: Any = None,
        keys_to_features: dict[str, Any] | None = None,
        items_to_handlers: dict[str, Any] | None = None,
        batch_size: int | None = None,
        shuffle: bool | None = True,
        shuffle_buffer_size: int | None = 6400,
        num_parallel: int | None = 8,
        num_epochs: int | None = None,
        cache_dir: str | bytes | os.PathLike[Any] | None = None,
        remove_cache_on_finish: bool | None = True,
        private_num_threads: int | None = 0,
        preprocess_threads: int | None = 12,
        drop_remainder: bool | None = False,
        seed: int | None = None,
        max_broken_samples: int | None = 0,
        shard_index: int | None = None,
        num_shards: int | None = None,
        meta: Any = None,
        feature_keys: Sequence[str] | None = None,
        feature_values: Sequence[Any] | None = None,
        num_readers: int | None = None,
    ) -> None:
        """shuffle: each epoch in another order
        num_epochs: end after so many; not given: never
        seed: of the order; not given: the graph's seed, and without that another one in each run
        batch_size: batches of so many; images also need image_size, preprocess_fn or augmentation_fn
        drop_remainder: drop a last batch that is not full
        shard_index: this worker's part of each epoch
        num_shards: so many parts; not given: the flags task_index and worker_hosts tell both
        max_broken_samples: so many broken samples are left out, each named in the log; one more is an error
        cache_dir: local folder that keeps what was read; ENV: the one that DLS_LOCAL_CACHE_PATH names
        remove_cache_on_finish: false: the next run uses the cache again
        shuffle_buffer_size: TFRecord: records in the shuffle buffer; raw: of no effect, the whole epoch is shuffled
        preprocess_threads: samples that are parsed, decoded and augmented at once
        private_num_threads: the pipeline runs in so many threads of its own; 0: in the runtime's
        num_parallel: files that are read at once
        """
    def items_to_handlers(self) -> dict[str, Any] | None:
        """The items that get takes, and how they are made; a subclass may override it."""
    def keys_to_features(self) -> dict[str, Any] | None:
        """The features that are parsed; a subclass may override it."""

class ImageClassificationTFRecordDataset(Dataset):
    """Images of TFRecord files: image/encoded and image/class/label as TF-slim writes them.

    metadata, or meta: an ImageClassificationTFRecordMetadata, or a BaseTFRecordMetadata of files that tell nothing of classes.
    Keys: image, label, label_desc, image_name, and the custom_feature_keys, whose custom_feature_values are
    tf.FixedLenFeature or tf.VarLenFeature. Older scripts give keys_to_features and items_to_handlers after the metadata: that
    is a BaseTFRecordDataset.
    """
    def __init__(
        self,
        metadata: Any = None,
        batch_size: int | None = None,
        shuffle: bool | None = True,
        shuffle_buffer_size: int | None = 6400,
        num_parallel: int | None = 8,
        num_epochs: int | None = None,
        cache_dir: str | bytes | os.PathLike[Any] | None = None,
        preprocess_fn: Callable[..., Any] | None = None,
        image_size: int | tuple[int, int] | None = None,
        remove_cache_on_finish: bool | None = True,
        private_num_threads: int | None = 0,
        custom_feature_keys: Sequence[str] | None = None,
        custom_feature_values: Sequence[Any] | None = None,
        drop_remainder: bool | None = False,
        augmentation_fn: Callable[..., Any] | None = None,
        label_one_hot: bool | None = False,
        preprocess_threads: int | None = 12,
        seed: int | None = None,
        max_broken_samples: int | None = 0,
        apply_exif_orientation: bool | None = False,
        shard_index: int | None = None,
        num_shards: int | None = None,
        meta: Any = None,
        alpha: Literal['drop', 'white', 'black'] | None = 'drop',
    ) -> None:
        """shuffle: each epoch in another order
        num_epochs: end after so many; not given: never
        seed: of the order; not given: the graph's seed, and without that another one in each run
        batch_size: batches of so many; images also need image_size, preprocess_fn or augmentation_fn
        drop_remainder: drop a last batch that is not full
        shard_index: this worker's part of each epoch
        num_shards: so many parts; not given: the flags task_index and worker_hosts tell both
        max_broken_samples: so many broken samples are left out, each named in the log; one more is an error
        cache_dir: local folder that keeps what was read; ENV: the one that DLS_LOCAL_CACHE_PATH names
        remove_cache_on_finish: false: the next run uses the cache again
        shuffle_buffer_size: TFRecord: records in the shuffle buffer; raw: of no effect, the whole epoch is shuffled
        preprocess_threads: samples that are parsed, decoded and augmented at once
        private_num_threads: the pipeline runs in so many threads of its own; 0: in the runtime's
        num_parallel: files that are read at once
        preprocess_fn: (image_name, image_buf, label, label_desc) to the same four, of a whole batch with batch_size; not
            given: decode, and resize to image_size
        image_size: resize to this by nearest neighbour
        augmentation_fn: runs on each decoded image
        label_one_hot: the label as float [num_classes]; multi-label: of no effect
        apply_exif_orientation: turn images as their EXIF data say
        alpha: PNG and WebP with transparent pixels: laid over white or black; drop: the colours that the file has there
        custom_feature_keys: further features of the records, which get() then knows
        custom_feature_values: what they are, one a key
        """

class ImageClassificationTFRecordMetadata(NamedClasses, BaseTFRecordMetadata):
    """The TFRecord files of images that match; the classes are those of label_map_file in base_dir, where it is.

    base_dir, file_pattern, file_patterns, num_samples, redirect_dir: as BaseTFRecordMetadata. num_classes: 0: as many as
    label_map_file names. label_map_file: used when it is there.

    Raises what BaseTFRecordMetadata raises, and InvalidArgumentError when num_classes and label_map_file do not agree.
    """
    def __init__(
        self,
        base_dir: str | bytes | os.PathLike[Any],
        file_pattern: str | Sequence[str] | None = None,
        num_samples: int | None = None,
        redirect_dir: str | bytes | os.PathLike[Any] | None = None,
        num_classes: int | None = 0,
        label_map_file: str | None = 'labels.txt',
        file_patterns: str | Sequence[str] | None = None,
    ) -> None: ...

def get_tfrecord(
    dataset_dir: str | bytes | os.PathLike[Any],
    file_pattern: str | Sequence[str],
    keys_to_features: dict[str, Any],
    items_to_handlers: dict[str, Any],
    num_samples: int | None = None,
    num_epochs: int | None = None,
    shuffle: bool = True,
    **kwargs: Any,
) -> BaseTFRecordDataset:
    """The data set of the files in dataset_dir that match file_pattern.

    num_samples: of BaseTFRecordMetadata. keys_to_features, items_to_handlers, num_epochs, shuffle, kwargs: of BaseTFRecordDataset.
    Raises what the two raise.
    """

def image_handler(feature: str = 'image/encoded', size: int | tuple[int, int] | None = None) -> Any:
    """For items_to_handlers of BaseTFRecordDataset: an item that is the bytes of the feature, decoded to a uint8 image [height, width, 3].

    size: one number or (height, width), to which it is resized; None: as it is.
    """

def tensor_handler(feature: str) -> Any:
    """For items_to_handlers of BaseTFRecordDataset: an item that is the feature of this name as it is."""
