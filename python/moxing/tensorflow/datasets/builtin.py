"""The built-in data sets."""
import collections

from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import fill
from moxing.tensorflow.datasets.base import Dataset

DatasetMeta = collections.namedtuple("DatasetMeta", ["name", "splits_to_sizes", "num_classes", "image_shape", "class_names"])


def get_dataset_meta(name):
    """splits_to_sizes (the split to train on first), num_classes, image_shape, class_names."""
    name, splits, num_classes, image_shape, class_names = engine.dataset_meta(name)
    return DatasetMeta(name, dict(splits), num_classes, image_shape, class_names)


def get_dataset(name, split_name, dataset_dir, capacity=256, shuffle=None, num_epochs=None, batch_size=None,
                drop_remainder=False, seed=None, shard_index=None, num_shards=None):
    """The built-in data set `name`, read from the files in dataset_dir as they are published. Keys: image, label."""
    options = fill(engine.DatasetOptions(), capacity=capacity, num_epochs=num_epochs, batch_size=batch_size,
                   drop_remainder=drop_remainder, seed=seed, shard_index=shard_index, num_shards=num_shards)
    options.shuffle = shuffle
    return Dataset(engine.get_dataset(name, split_name, dataset_dir, options))
