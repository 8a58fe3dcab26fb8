"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets.raw.raw_dataset` gives; not to be changed by hand."""
from collections.abc import Callable
from typing import Any, Literal
import os
from moxing.tensorflow.datasets.base import Dataset
from moxing.tensorflow.datasets.base import NamedClasses
from moxing.tensorflow.datasets.convert import split_image_classification_dataset as split_image_classification_dataset

class AsyncRawGenerator:
    """reader_class for object stores: 64 requests under way, in one process."""

class ParallelReader:
    """reader_class: num_readers files at once. The default."""

class ImageClassificationRawDataset(Dataset):
    """Image files of class folders. Keys: image (uint8 [height, width, 3]), label (an integer), label_desc, image_name.

    metadata: an ImageClassificationRawMetadata. With batch_size each has the batch as its first dimension. What is broken is a
    DataError in the step that reads it.
    """
    def __init__(
        self,
        metadata: Any,
        batch_size: int | None = None,
        num_readers: int | None = 8,
        num_epochs: int | None = None,
        shuffle: bool | None = True,
        shuffle_buffer_size: int | None = 16,
        capacity: int | None = 256,
        cache_dir: str | bytes | os.PathLike[Any] | None = None,
        preprocess_fn: Callable[..., Any] | None = None,
        preprocess_threads: int | None = 12,
        image_size: int | tuple[int, int] | None = None,
        remove_cache_on_finish: bool | None = True,
        private_num_threads: int | None = 0,
        reader_class: type | str | None = None,
        reader_kwargs: dict[str, int] | None = None,
        drop_remainder: bool | None = False,
        augmentation_fn: Callable[..., Any] | None = None,
        label_one_hot: bool | None = False,
        seed: int | None = None,
        shard_index: int | None = None,
        num_shards: int | None = None,
        max_broken_samples: int | None = 0,
        apply_exif_orientation: bool | None = False,
        alpha: Literal['drop', 'white', 'black'] | None = 'drop',
        cache: Literal['encoded', 'decoded'] | None = 'encoded',
    ) -> None:
        """capacity: samples or files that are read ahead
        shuffle: each epoch in another order
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
        preprocess_fn: (image_name, image_buf, label, label_desc) to the same four, of a whole batch with batch_size; not
            given: decode, and resize to image_size
        image_size: resize to this by nearest neighbour
        augmentation_fn: runs on each decoded image
        label_one_hot: the label as float [num_classes]; multi-label: of no effect
        apply_exif_orientation: turn images as their EXIF data say
        alpha: PNG and WebP with transparent pixels: laid over white or black; drop: the colours that the file has there
        num_readers: files that are read at once
        cache: what cache_dir keeps: files as they are, or their pixels, which are larger and need no decoding
        reader_class: ParallelReader, or AsyncRawGenerator for object stores: 64 reads at once
        reader_kwargs: override those of these names
        """

class MultilabelClassificationRawDataset(Dataset):
    """Image files with several labels each. Keys: image (uint8 [height, width, 3]), label (multi-hot: float [num_classes]),
    label_desc, image_name. Label files have one name a line.

    metadata: a MultilabelClassificationRawMetadata. With batch_size each has the batch as its first dimension.
    """
    def __init__(
        self,
        metadata: Any,
        batch_size: int | None = None,
        num_readers: int | None = 8,
        num_epochs: int | None = None,
        shuffle: bool | None = True,
        shuffle_buffer_size: int | None = 16,
        capacity: int | None = 256,
        cache_dir: str | bytes | os.PathLike[Any] | None = None,
        preprocess_fn: Callable[..., Any] | None = None,
        preprocess_threads: int | None = 12,
        image_size: int | tuple[int, int] | None = None,
        remove_cache_on_finish: bool | None = True,
        private_num_threads: int | None = 0,
        reader_class: type | str | None = None,
        reader_kwargs: dict[str, int] | None = None,
        drop_remainder: bool | None = False,
        label_sep: str | None = '\n',
        skip_label_not_found: bool | None = False,
        augmentation_fn: Callable[..., Any] | None = None,
        seed: int | None = None,
        shard_index: int | None = None,
        num_shards: int | None = None,
        max_broken_samples: int | None = 0,
        apply_exif_orientation: bool | None = False,
        alpha: Literal['drop', 'white', 'black'] | None = 'drop',
        cache: Literal['encoded', 'decoded'] | None = 'encoded',
    ) -> None:
        """capacity: samples or files that are read ahead
        shuffle: each epoch in another order
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
        preprocess_fn: (image_name, image_buf, label, label_desc) to the same four, of a whole batch with batch_size; not
            given: decode, and resize to image_size
        image_size: resize to this by nearest neighbour
        augmentation_fn: runs on each decoded image
        apply_exif_orientation: turn images as their EXIF data say
        alpha: PNG and WebP with transparent pixels: laid over white or black; drop: the colours that the file has there
        num_readers: files that are read at once
        cache: what cache_dir keeps: files as they are, or their pixels, which are larger and need no decoding
        reader_class: ParallelReader, or AsyncRawGenerator for object stores: 64 reads at once
        reader_kwargs: override those of these names
        label_sep: between the names in a label file; with the default, a line end, also blanks
        skip_label_not_found: leave out images without a label file; else they are an error
        """

class ImageClassificationRawMetadata(NamedClasses):
    """Images in one folder a class: base_dir/daisy/1.jpg. Without labels.txt classes are in the byte order of the folders.

    redirect_dir: read the images from this copy of base_dir. labels_filename: in base_dir; used when it is there.

    Raises NotFoundError when base_dir is missing, DataError when it holds nothing that can be used.
    """
    def __init__(
        self,
        base_dir: str | bytes | os.PathLike[Any],
        redirect_dir: str | bytes | os.PathLike[Any] | None = None,
        labels_filename: str = 'labels.txt',
    ) -> None: ...
    @property
    def total_num_samples(self) -> int:
        """Samples in an epoch, of all workers."""

class MultilabelClassificationRawMetadata(NamedClasses):
    """Images of base_dir with several labels each: images/1.jpg has them in labels/1.jpg.txt.

    images_sub_dir, labels_sub_dir: the folders' names. labels_extension: of the label files. redirect_dir: read the images from this
    copy of base_dir. labels_filename: in base_dir; without it the classes are the names in the label files, in byte order.

    Raises NotFoundError when base_dir is missing, DataError when it holds nothing that can be used.
    """
    def __init__(
        self,
        base_dir: str | bytes | os.PathLike[Any],
        images_sub_dir: str = 'images',
        labels_sub_dir: str = 'labels',
        labels_extension: str = 'txt',
        redirect_dir: str | bytes | os.PathLike[Any] | None = None,
        labels_filename: str = 'labels.txt',
    ) -> None: ...
    @property
    def total_num_samples(self) -> int:
        """Samples in an epoch, of all workers."""
