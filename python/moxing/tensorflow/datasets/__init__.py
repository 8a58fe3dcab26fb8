"""The built-in data sets."""
import collections

from moxing.tensorflow._fragments import import_fragment
from moxing.tensorflow._graph_state import fragment_seed
from moxing.tensorflow._runtime import engine

DatasetMeta = collections.namedtuple("DatasetMeta", ["name", "splits_to_sizes", "num_classes", "image_shape", "class_names"])


def get_dataset_meta(name):
    """splits_to_sizes (the split to train on first), num_classes, image_shape, class_names."""
    name, splits, num_classes, image_shape, class_names = engine.dataset_meta(name)
    return DatasetMeta(name, dict(splits), num_classes, image_shape, class_names)


class Dataset:
    """A data set that C++ reads: get() inside input_fn adds its pipeline to the graph."""

    def __init__(self, dataset):
        self._dataset = dataset

    @property
    def total_num_samples(self):
        return self._dataset.num_samples()

    @property
    def class_names(self):
        return self._dataset.class_names()

    def keys(self):
        return self._dataset.keys()

    def get(self, keys):
        """The tensors of the next sample (or batch), one a key."""
        fragment = self._dataset.fragment(list(keys), fragment_seed())
        return [tensor for _, tensor in import_fragment(fragment, "dataset")]


def get_dataset(name, split_name, dataset_dir, capacity=256, shuffle=None, num_epochs=None, batch_size=None,
                drop_remainder=False, seed=None):
    """The built-in data set `name`, read from the files in dataset_dir as they are published. Keys: image, label."""
    options = engine.DatasetOptions()
    options.capacity = capacity
    options.shuffle = shuffle
    options.num_epochs = num_epochs or 0
    options.batch_size = batch_size or 0
    options.drop_remainder = drop_remainder
    options.seed = seed or 0
    return Dataset(engine.get_dataset(name, split_name, dataset_dir, options))
