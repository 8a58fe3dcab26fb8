"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets.base` gives; not to be changed by hand."""
from collections.abc import Sequence
from typing import Any
import tensorflow.compat.v1 as tf

class Dataset:
    """A data set that C++ reads: get() inside input_fn adds its pipeline to the graph.

    dataset: the engine's, as the classes and functions of this package make it.
    """
    def __init__(self, dataset: Any) -> None: ...
    @property
    def class_names(self) -> list[str]:
        """In the order of the labels; empty when they are not known."""
    def get(self, keys: str | Sequence[str]) -> list[tf.Tensor]:
        """The tensors of the next sample, or batch, one for each of keys: to be called inside input_fn.

        Raises InvalidArgumentError for a key that the data set does not have, and outside of a graph.
        """
    def keys(self) -> list[str]:
        """What get takes."""
    @property
    def total_num_samples(self) -> int:
        """Samples in an epoch, of all workers."""

class NamedClasses:
    """The classes of metadata that C++ read (self._metadata)."""
    @property
    def labels_list(self) -> list[str]:
        """The names of the classes, in the order of the labels."""
    @property
    def labels_to_names(self) -> dict[int, str]:
        """Label -> name of its class."""
    @property
    def names_to_labels(self) -> dict[str, int]:
        """Name of a class -> its label."""
    @property
    def num_classes(self) -> int:
        """How many classes there are."""
