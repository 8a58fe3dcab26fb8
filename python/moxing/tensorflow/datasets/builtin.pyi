"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets.builtin` gives; not to be changed by hand."""
from typing import Any, NamedTuple
import os
from moxing.tensorflow.datasets.base import Dataset

class DatasetMeta(NamedTuple):
    """What get_dataset_meta tells of a data set."""
    name: str
    splits_to_sizes: dict[str, int]
    num_classes: int
    image_shape: list[int]
    class_names: list[str]

def get_dataset(
    name: str,
    split_name: str,
    dataset_dir: str | bytes | os.PathLike[Any],
    capacity: int | None = 256,
    shuffle: bool | None = None,
    num_epochs: int | None = None,
    batch_size: int | None = None,
    drop_remainder: bool | None = False,
    seed: int | None = None,
    shard_index: int | None = None,
    num_shards: int | None = None,
    max_broken_samples: int | None = 0,
    cache_dir: str | bytes | os.PathLike[Any] | None = None,
    remove_cache_on_finish: bool | None = True,
) -> Dataset:
    """The built-in data set `name`, read from the files in dataset_dir as they are published. Keys: image, label.

    split_name: a key of get_dataset_meta(name).splits_to_sizes. Raises InvalidArgumentError, which lists them, for another name or
    split, NotFoundError when a file is missing, DataError when one is broken.

        capacity: samples or files that are read ahead
        shuffle: each epoch in another order; not given: only in the split `train`
        num_epochs: end after so many; not given: never
        seed: of the order; not given: the graph's seed, and without that another one in each run
        batch_size: batches of so many; images also need image_size, preprocess_fn or augmentation_fn
        drop_remainder: drop a last batch that is not full
        shard_index: this worker's part of each epoch
        num_shards: so many parts; not given: the flags task_index and worker_hosts tell both
        max_broken_samples: so many broken samples are left out, each named in the log; one more is an error
        cache_dir: local folder that keeps what was read; ENV: the one that DLS_LOCAL_CACHE_PATH names
        remove_cache_on_finish: false: the next run uses the cache again
    """

def get_dataset_meta(name: str) -> DatasetMeta:
    """Of the built-in data set `name`: splits_to_sizes (the split to train on first), num_classes, image_shape, class_names.

    Raises InvalidArgumentError, which lists them, when there is no such data set.
    """
