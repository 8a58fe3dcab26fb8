"""Image files: one folder a class, or several labels an image."""
from moxing._arguments import PathText, Text, checked
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import engine_metadata, fill
from moxing.tensorflow.datasets.base import Dataset
from moxing.tensorflow.datasets.convert import split_image_classification_dataset

__all__ = [
    "AsyncRawGenerator", "ImageClassificationRawDataset", "ImageClassificationRawMetadata",
    "MultilabelClassificationRawDataset", "MultilabelClassificationRawMetadata", "ParallelReader",
    "split_image_classification_dataset",
]


_FOLDER = PathText()


class ParallelReader:
    """reader_class: num_readers files at once. The default."""


class AsyncRawGenerator:
    """reader_class for object stores: 64 requests under way, in one process."""


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

    @checked
    def __init__(self, base_dir: _FOLDER, redirect_dir: _FOLDER = None, labels_filename: Text() = "labels.txt"):
        super().__init__(engine.RawMetadata(base_dir, redirect_dir or "", labels_filename))


class MultilabelClassificationRawMetadata(_Metadata):
    """Images with several labels each: images/1.jpg has them in labels/1.jpg.txt."""

    @checked
    def __init__(self, base_dir: _FOLDER, images_sub_dir: Text() = "images", labels_sub_dir: Text() = "labels",
                 labels_extension: Text() = "txt", redirect_dir: _FOLDER = None, labels_filename: Text() = "labels.txt"):
        super().__init__(engine.MultilabelMetadata(base_dir, images_sub_dir, labels_sub_dir, labels_extension, redirect_dir or "",
                                                   labels_filename))


class ImageClassificationRawDataset(Dataset):
    """Keys: image, label, label_desc, image_name. What the arguments mean: docs/data.md."""

    def __init__(self, metadata, batch_size=None, num_readers=8, num_epochs=None, shuffle=True, shuffle_buffer_size=16,
                 capacity=256, cache_dir=None, preprocess_fn=None, preprocess_threads=12, image_size=None,
                 remove_cache_on_finish=True, private_num_threads=0, reader_class=None, reader_kwargs=None,
                 drop_remainder=False, augmentation_fn=None, label_one_hot=False, seed=None, max_broken_samples=0,
                 apply_exif_orientation=False, shard_index=None, num_shards=None):
        options = fill(engine.RawDatasetOptions(), locals(), besides=["metadata"])
        super().__init__(engine.raw_dataset(engine_metadata(metadata, ImageClassificationRawMetadata), options))


class MultilabelClassificationRawDataset(Dataset):
    """Keys: image, label (multi-hot: float [num_classes]), label_desc, image_name. Label files have one name a line."""

    def __init__(self, metadata, batch_size=None, num_readers=8, num_epochs=None, shuffle=True, shuffle_buffer_size=16,
                 capacity=256, cache_dir=None, preprocess_fn=None, preprocess_threads=12, image_size=None,
                 remove_cache_on_finish=True, private_num_threads=0, reader_class=None, reader_kwargs=None,
                 drop_remainder=False, label_sep="\n", skip_label_not_found=False, augmentation_fn=None, seed=None,
                 max_broken_samples=0, apply_exif_orientation=False, shard_index=None, num_shards=None):
        options = fill(engine.MultilabelDatasetOptions(), locals(), besides=["metadata"])
        super().__init__(engine.multilabel_dataset(engine_metadata(metadata, MultilabelClassificationRawMetadata), options))
