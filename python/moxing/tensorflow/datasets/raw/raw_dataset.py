"""Image files: one folder a class, or several labels an image."""
from typing import Any

from moxing._arguments import PathText, Text, checked
from moxing.tensorflow._options import takes
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import engine_metadata, fill
from moxing.tensorflow.datasets.base import Dataset, NamedClasses
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


class _Metadata(NamedClasses):
    """What a data set holds; read once, when it is made."""

    def __init__(self, metadata: "Any"):
        self._metadata = metadata

    @property
    def total_num_samples(self) -> int:
        """Samples in an epoch, of all workers."""
        return self._metadata.total_num_samples


class ImageClassificationRawMetadata(_Metadata):
    """Images in one folder a class: base_dir/daisy/1.jpg. Without labels.txt classes are in the byte order of the folders.

    redirect_dir: read the images from this copy of base_dir. labels_filename: in base_dir; used when it is there.

    Raises NotFoundError when base_dir is missing, DataError when it holds nothing that can be used.
    """

    @checked
    def __init__(self, base_dir: _FOLDER, redirect_dir: _FOLDER = None, labels_filename: Text() = "labels.txt"):
        super().__init__(engine.RawMetadata(base_dir, redirect_dir or "", labels_filename))


class MultilabelClassificationRawMetadata(_Metadata):
    """Images of base_dir with several labels each: images/1.jpg has them in labels/1.jpg.txt.

    images_sub_dir, labels_sub_dir: the folders' names. labels_extension: of the label files. redirect_dir: read the images from this
    copy of base_dir. labels_filename: in base_dir; without it the classes are the names in the label files, in byte order.

    Raises NotFoundError when base_dir is missing, DataError when it holds nothing that can be used.
    """

    @checked
    def __init__(self, base_dir: _FOLDER, images_sub_dir: Text() = "images", labels_sub_dir: Text() = "labels",
                 labels_extension: Text() = "txt", redirect_dir: _FOLDER = None, labels_filename: Text() = "labels.txt"):
        super().__init__(engine.MultilabelMetadata(base_dir, images_sub_dir, labels_sub_dir, labels_extension, redirect_dir or "",
                                                   labels_filename))


# The manual's arguments by position.
_ORDER = ["batch_size", "num_readers", "num_epochs", "shuffle", "shuffle_buffer_size", "capacity", "cache_dir", "preprocess_fn",
          "preprocess_threads", "image_size", "remove_cache_on_finish", "private_num_threads", "reader_class", "reader_kwargs",
          "drop_remainder"]
_DEFAULTS = {"shuffle_buffer_size": 16}  # the manual's; of no effect, the whole epoch is shuffled


class ImageClassificationRawDataset(Dataset):
    """Image files of class folders. Keys: image (uint8 [height, width, 3]), label (an integer), label_desc, image_name.

    metadata: an ImageClassificationRawMetadata. With batch_size each has the batch as its first dimension. What is broken is a
    DataError in the step that reads it.
    """

    @takes(engine.RawDatasetOptions.options, [*_ORDER, "augmentation_fn", "label_one_hot"], defaults=_DEFAULTS)
    def __init__(self, metadata: "Any", **options):
        options = fill(engine.RawDatasetOptions(), options)
        super().__init__(engine.raw_dataset(engine_metadata(metadata, ImageClassificationRawMetadata), options))


class MultilabelClassificationRawDataset(Dataset):
    """Image files with several labels each. Keys: image (uint8 [height, width, 3]), label (multi-hot: float [num_classes]),
    label_desc, image_name. Label files have one name a line.

    metadata: a MultilabelClassificationRawMetadata. With batch_size each has the batch as its first dimension.
    """

    @takes([o for o in engine.MultilabelDatasetOptions.options if o["name"] != "label_one_hot"],
           [*_ORDER, "label_sep", "skip_label_not_found", "augmentation_fn"], defaults=_DEFAULTS)
    def __init__(self, metadata: "Any", **options):
        options = fill(engine.MultilabelDatasetOptions(), options)
        super().__init__(engine.multilabel_dataset(engine_metadata(metadata, MultilabelClassificationRawMetadata), options))
