"""tensorflow.examples.tutorials.mnist.input_data: MNIST's idx files as numpy arrays, a batch at a time."""
import collections
import gzip
import zlib

import numpy as np

from moxing.v1 import inputs
from moxing.v1.view import View

Datasets = collections.namedtuple("Datasets", ["train", "validation", "test"])
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _content(path):
    """Of a file object, or of a path, local or s3://, with or without the .gz at its end."""
    if hasattr(path, "read"):
        return getattr(path, "name", "the file"), path.read()
    import moxing
    path = str(path)
    other = path[:-3] if path.endswith(".gz") else path + ".gz"
    for candidate in (path, other):
        if moxing.file.exists(candidate):
            return candidate, moxing.file.read(candidate, binary=True)
    raise FileNotFoundError(f"MNIST: there is neither {path} nor {other}; read_data_sets downloads nothing: put the four idx "
                            f"files there ({', '.join(_FILES)}, plain or .gz)")


def _idx(path, magic):
    name, data = _content(path)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as e:
            raise ValueError(f"MNIST: {name} is no whole gzip file: {e}") from None
    if len(data) < 4 or int.from_bytes(data[:4], "big") != magic:
        raise ValueError(f"MNIST: {name} begins with {data[:4].hex()}, expected the magic number {magic:08x} of an idx file")
    dimensions = magic & 0xff
    shape = np.frombuffer(data, ">u4", dimensions, 4).astype(np.int64)
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if len(values) != shape.prod():
        raise ValueError(f"MNIST: {name} holds {len(values)} bytes of data, expected {shape.prod()} for shape {tuple(shape)}")
    return values.reshape(shape)


def extract_images(f):
    """[count, height, width, 1], uint8."""
    return _idx(f, 2051)[..., np.newaxis]


def dense_to_one_hot(labels_dense, num_classes):
    labels_one_hot = np.zeros((len(labels_dense), num_classes))
    labels_one_hot[np.arange(len(labels_dense)), labels_dense] = 1
    return labels_one_hot


def extract_labels(f, one_hot=False, num_classes=10):
    labels = _idx(f, 2049)
    return dense_to_one_hot(labels, num_classes) if one_hot else labels


class DataSet:
    def __init__(self, images, labels, fake_data=False, one_hot=False, dtype=np.float32, reshape=True, seed=None):
        dtype = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
        if dtype not in (np.uint8, np.float32):
            raise TypeError(f"Invalid image dtype {dtype}, expected uint8 or float32")
        if fake_data:
            images = np.full((10000, 28, 28, 1), 255, np.uint8)
            labels = np.eye(10)[np.zeros(10000, int)] if one_hot else np.zeros(10000, np.uint8)
        if len(images) != len(labels):
            raise ValueError(f"MNIST: {len(images)} images, but {len(labels)} labels")
        if reshape:
            images = images.reshape(len(images), int(np.prod(images.shape[1:])))
        self._images = images.astype(np.float32) * np.float32(1.0 / 255) if dtype == np.float32 else images
        self._labels = labels
        self._random = np.random.RandomState(seed)
        self._epochs_completed = 0
        self._next = 0

    images = property(lambda self: self._images)
    labels = property(lambda self: self._labels)
    num_examples = property(lambda self: len(self._images))
    epochs_completed = property(lambda self: self._epochs_completed)

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """The next samples; those left at the end of an epoch come together with the first of the next.

        Called by an input_fn itself, and not by a generator in it, it gives tensors, a new batch in every step.
        """
        if inputs.in_input_fn():
            return inputs.pipeline(lambda: self._next_batch(batch_size, shuffle),
                                   [(array.dtype, (batch_size, *array.shape[1:])) for array in (self._images, self._labels)])
        return self._next_batch(batch_size, shuffle)

    def _next_batch(self, batch_size, shuffle):
        if self._next == 0 and self._epochs_completed == 0 and shuffle:
            self._shuffle()
        start, count = self._next, self.num_examples
        if start + batch_size <= count:
            self._next = start + batch_size
            return self._images[start:self._next], self._labels[start:self._next]
        self._epochs_completed += 1
        rest_images, rest_labels = self._images[start:], self._labels[start:]
        if shuffle:
            self._shuffle()
        self._next = batch_size - (count - start)
        return (np.concatenate([rest_images, self._images[:self._next]]),
                np.concatenate([rest_labels, self._labels[:self._next]]))

    def _shuffle(self):
        order = self._random.permutation(self.num_examples)
        self._images, self._labels = self._images[order], self._labels[order]


def read_data_sets(train_dir, fake_data=False, one_hot=False, dtype=np.float32, reshape=True, validation_size=5000, seed=None,
                   source_url=None):
    """train_dir: local or s3://. The first validation_size training images are the validation set."""
    options = dict(one_hot=one_hot, dtype=dtype, reshape=reshape, seed=seed)
    if fake_data:
        return Datasets(*(DataSet([], [], fake_data=True, **options) for _ in range(3)))
    folder = str(train_dir).rstrip("/") + "/"
    train_images, test_images = (extract_images(folder + _FILES[i] + ".gz") for i in (0, 2))
    train_labels, test_labels = (extract_labels(folder + _FILES[i] + ".gz", one_hot) for i in (1, 3))
    if not 0 <= validation_size <= len(train_images):
        raise ValueError(f"Validation size should be between 0 and {len(train_images)}. Received: {validation_size}.")
    split = validation_size
    return Datasets(DataSet(train_images[split:], train_labels[split:], **options),
                    DataSet(train_images[:split], train_labels[:split], **options),
                    DataSet(test_images, test_labels, **options))


def load_mnist(train_dir="MNIST-data"):
    return read_data_sets(train_dir)


def input_data(tf):
    """The module as scripts know it."""
    names = ("DataSet", "Datasets", "dense_to_one_hot", "extract_images", "extract_labels", "load_mnist", "read_data_sets")
    return View("tensorflow.examples.tutorials.mnist.input_data",
                {**{name: globals()[name] for name in names}, "_Datasets": Datasets, "_DataSet": DataSet,
                 "base": View("tensorflow.contrib.learn.datasets.base", {"Datasets": Datasets}), "numpy": np})


def examples(tf):
    mnist = View("tensorflow.examples.tutorials.mnist", {"input_data": input_data(tf)})
    return View("tensorflow.examples", {"tutorials": View("tensorflow.examples.tutorials", {"mnist": mnist})})
