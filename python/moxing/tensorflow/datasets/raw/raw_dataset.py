"""Image files: one folder a class, or several labels an image."""
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import fill_image_options
from moxing.tensorflow.datasets.base import Dataset


class ParallelReader:
    """reader_class: num_readers files at once. The default."""


class AsyncRawGenerator:
    """reader_class for object stores: 64 requests under way, in one process."""


def _reader_name(reader_class):
    if reader_class is None or isinstance(reader_class, str):
        return reader_class
    if isinstance(reader_class, type):
        return reader_class.__name__
    raise InvalidArgumentError(f"reader_class is {reader_class!r}, expected mox.AsyncRawGenerator or mox.ParallelReader")


class _Metadata:
    """What a data set holds; read once, when it is made."""

    def __init__(self, metadata):
        self._metadata = metadata

    @property
    def total_num_samples(self):
        return self._metadata.total_num_samples

    @property
    def num_classes(self):
        return self._metadata.num_classes

    @property
    def labels_list(self):
        """The names of the classes, in the order of the labels."""
        return self._metadata.labels_list

    @property
    def names_to_labels(self):
        return self._metadata.names_to_labels

    @property
    def labels_to_names(self):
        return self._metadata.labels_to_names


class ImageClassificationRawMetadata(_Metadata):
    """Images in one folder a class: base_dir/daisy/1.jpg. Without labels.txt classes are in the byte order of the folders."""

    def __init__(self, base_dir, redirect_dir=None, labels_filename="labels.txt"):
        super().__init__(engine.RawMetadata(base_dir, redirect_dir or "", labels_filename))


class MultilabelClassificationRawMetadata(_Metadata):
    """Images with several labels each: images/1.jpg has them in labels/1.jpg.txt."""

    def __init__(self, base_dir, images_sub_dir="images", labels_sub_dir="labels", labels_extension="txt", redirect_dir=None,
                 labels_filename="labels.txt"):
        super().__init__(engine.MultilabelMetadata(base_dir, images_sub_dir, labels_sub_dir, labels_extension,
                                                   redirect_dir or "", labels_filename))


class ImageClassificationRawDataset(Dataset):
    """Keys: image, label, label_desc, image_name. What the arguments mean: docs/data.md."""

    def __init__(self, metadata, batch_size=None, num_readers=8, num_epochs=None, shuffle=True, shuffle_buffer_size=16,
                 capacity=256, cache_dir=None, preprocess_fn=None, preprocess_threads=12, image_size=None,
                 remove_cache_on_finish=True, private_num_threads=0, reader_class=None, reader_kwargs=None,
                 drop_remainder=False, augmentation_fn=None, label_one_hot=False, seed=None, max_broken_samples=0,
                 apply_exif_orientation=False, shard_index=None, num_shards=None):
        options = fill_image_options(
            engine.RawDatasetOptions(), image_size, preprocess_fn, augmentation_fn, batch_size=batch_size,
            num_readers=num_readers, num_epochs=num_epochs, shuffle=shuffle, shuffle_buffer_size=shuffle_buffer_size,
            capacity=capacity, cache_dir=cache_dir, preprocess_threads=preprocess_threads,
            remove_cache_on_finish=remove_cache_on_finish, private_num_threads=private_num_threads,
            reader_class=_reader_name(reader_class), reader_kwargs=reader_kwargs, drop_remainder=drop_remainder,
            label_one_hot=label_one_hot, seed=seed, max_broken_samples=max_broken_samples,
            apply_exif_orientation=apply_exif_orientation, shard_index=shard_index, num_shards=num_shards)
        super().__init__(engine.raw_dataset(metadata._metadata, options))


class MultilabelClassificationRawDataset(Dataset):
    """Keys: image, label (multi-hot: float [num_classes]), label_desc, image_name. Label files have one name a line."""

    def __init__(self, metadata, batch_size=None, num_readers=8, num_epochs=None, shuffle=True, shuffle_buffer_size=16,
                 capacity=256, cache_dir=None, preprocess_fn=None, preprocess_threads=12, image_size=None,
                 remove_cache_on_finish=True, private_num_threads=0, reader_class=None, reader_kwargs=None,
                 drop_remainder=False, label_sep="\n", skip_label_not_found=False, augmentation_fn=None, seed=None,
                 max_broken_samples=0, apply_exif_orientation=False, shard_index=None, num_shards=None):
        options = fill_image_options(
            engine.MultilabelDatasetOptions(), image_size, preprocess_fn, augmentation_fn, batch_size=batch_size,
            num_readers=num_readers, num_epochs=num_epochs, shuffle=shuffle, shuffle_buffer_size=shuffle_buffer_size,
            capacity=capacity, cache_dir=cache_dir, preprocess_threads=preprocess_threads,
            remove_cache_on_finish=remove_cache_on_finish, private_num_threads=private_num_threads,
            reader_class=_reader_name(reader_class), reader_kwargs=reader_kwargs, drop_remainder=drop_remainder,
            label_sep=label_sep, skip_label_not_found=skip_label_not_found, seed=seed,
            max_broken_samples=max_broken_samples, apply_exif_orientation=apply_exif_orientation, shard_index=shard_index,
            num_shards=num_shards)
        super().__init__(engine.multilabel_dataset(metadata._metadata, options))
