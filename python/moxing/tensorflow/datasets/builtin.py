"""The built-in data sets."""
import collections

from moxing._arguments import PathText, Text, checked
from moxing.tensorflow._options import takes
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import fill
from moxing.tensorflow.datasets.base import Dataset

DatasetMeta = collections.namedtuple("DatasetMeta", ["name", "splits_to_sizes", "num_classes", "image_shape", "class_names"])


_NAME = Text("the name of a data set")


@checked
def get_dataset_meta(name: _NAME):
    """splits_to_sizes (the split to train on first), num_classes, image_shape, class_names."""
    name, splits, num_classes, image_shape, class_names = engine.dataset_meta(name)
    return DatasetMeta(name, dict(splits), num_classes, image_shape, class_names)


@takes(engine.DatasetOptions.options,
       ["capacity", "shuffle", "num_epochs", "batch_size", "drop_remainder", "seed", "shard_index", "num_shards",
        "max_broken_samples", "cache_dir", "remove_cache_on_finish"])
def get_dataset(name: _NAME, split_name: Text(), dataset_dir: PathText(), **options):
    """The built-in data set `name`, read from the files in dataset_dir as they are published. Keys: image, label."""
    return Dataset(engine.get_dataset(name, split_name, dataset_dir, fill(engine.DatasetOptions(), options)))
