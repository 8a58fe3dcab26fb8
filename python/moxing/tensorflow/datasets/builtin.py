"""The built-in data sets."""
from typing import NamedTuple

from moxing._arguments import PathText, Text, checked
from moxing.tensorflow._options import takes
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import fill
from moxing.tensorflow.datasets.base import Dataset


class DatasetMeta(NamedTuple):
    """What get_dataset_meta tells of a data set."""

    name: str
    splits_to_sizes: dict[str, int]  # the split to train on first
    num_classes: int
    image_shape: list[int]           # height, width, channels
    class_names: list[str]           # in the order of the labels


_NAME = Text("the name of a data set")


@checked
def get_dataset_meta(name: _NAME) -> DatasetMeta:
    """Of the built-in data set `name`: splits_to_sizes (the split to train on first), num_classes, image_shape, class_names.

    Raises InvalidArgumentError, which lists them, when there is no such data set.
    """
    name, splits, num_classes, image_shape, class_names = engine.dataset_meta(name)
    return DatasetMeta(name, dict(splits), num_classes, image_shape, class_names)


@takes(engine.DatasetOptions.options,
       ["capacity", "shuffle", "num_epochs", "batch_size", "drop_remainder", "seed", "shard_index", "num_shards",
        "max_broken_samples", "cache_dir", "remove_cache_on_finish"])
def get_dataset(name: _NAME, split_name: Text(), dataset_dir: PathText(), **options) -> Dataset:
    """The built-in data set `name`, read from the files in dataset_dir as they are published. Keys: image, label.

    split_name: a key of get_dataset_meta(name).splits_to_sizes. Raises InvalidArgumentError, which lists them, for another name or
    split, NotFoundError when a file is missing, DataError when one is broken.
    """
    return Dataset(engine.get_dataset(name, split_name, dataset_dir, fill(engine.DatasetOptions(), options)))
