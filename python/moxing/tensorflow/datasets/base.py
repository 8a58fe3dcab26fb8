"""What all data sets share."""
from typing import Any

from moxing._arguments import ListOf, Text, checked
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._fragments import import_fragment
from moxing.tensorflow._graph_state import fragment_seed
from moxing.tensorflow._runtime import tf


class Dataset:
    """A data set that C++ reads: get() inside input_fn adds its pipeline to the graph.

    dataset: the engine's, as the classes and functions of this package make it.
    """

    def __init__(self, dataset: "Any"):
        self._dataset = dataset

    @property
    def total_num_samples(self) -> int:
        """Samples in an epoch, of all workers."""
        return self._dataset.num_samples()

    @property
    def class_names(self) -> "list[str]":
        """In the order of the labels; empty when they are not known."""
        return self._dataset.class_names()

    def keys(self) -> "list[str]":
        """What get takes."""
        return self._dataset.keys()

    @checked(who="get")
    def get(self, keys: ListOf(Text("a key"), or_one=True)) -> "list[tf.Tensor]":
        """The tensors of the next sample, or batch, one for each of keys: to be called inside input_fn.

        Raises InvalidArgumentError for a key that the data set does not have, and outside of a graph.
        """
        if tf.executing_eagerly():
            raise InvalidArgumentError("a data set adds to a graph: call get() inside input_fn, or under "
                                       "`with tf.Graph().as_default():`")
        fragment = self._dataset.fragment(keys, fragment_seed())
        return [tensor for _, tensor in import_fragment(fragment, "dataset")]


class NamedClasses:
    """The classes of metadata that C++ read (self._metadata)."""

    def _once(self, name):
        """Made at the first look: a loop that looks at each sample would make it of all classes each time."""
        made = self.__dict__.setdefault("_made", {})
        if name not in made:
            made[name] = getattr(self._metadata, name)
        return made[name]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return self._metadata.num_classes

    @property
    def labels_list(self) -> "list[str]":
        """The names of the classes, in the order of the labels."""
        return list(self._once("labels_list"))

    @property
    def names_to_labels(self) -> "dict[str, int]":
        """Name of a class -> its label."""
        return self._once("names_to_labels")

    @property
    def labels_to_names(self) -> "dict[int, str]":
        """Label -> name of its class."""
        return self._once("labels_to_names")
