"""The built-in data sets."""
import collections

from moxing._arguments import PathText, Text, checked
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


@checked
def get_dataset(name: _NAME, split_name: Text(), dataset_dir: PathText(), capacity=256, shuffle=None, num_epochs=None, batch_size=None,
                drop_remainder=False, seed=None, shard_index=None, num_shards=None, max_broken_samples=0, cache_dir=None,
                remove_cache_on_finish=True):
    """The built-in data set `name`, read from the files in dataset_dir as they are published. Keys: image, label."""
    options = fill(engine.DatasetOptions(), locals(), besides=["name", "split_name", "dataset_dir"])
    return Dataset(engine.get_dataset(name, split_name, dataset_dir, options))
