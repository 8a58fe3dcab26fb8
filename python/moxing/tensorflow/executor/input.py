"""Calls input_fn in a graph of its own, and brings its pipeline, lifted by the engine, into the main graph."""
from typing import Any

from moxing._arguments import Switch, checked
from moxing.errors import InvalidArgumentError, UnsupportedError
from moxing.tensorflow._graph_state import new_graph, state_of
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.executor import returned, user_functions


class InputSpec:
    """What input_fn returns for several lists of inputs, which model_fn gets apart: `inputs.get_input(0)`.

    split_to_device makes no difference: each device always has a batch of its own.
    """

    @checked
    def __init__(self, split_to_device: Switch() = False):
        self.split_to_device = split_to_device
        self._inputs = []

    def new_input(self, inputs: "Any") -> None:
        """Adds a list of tensors, or one tensor: inputs."""
        self._inputs.append(list(inputs) if isinstance(inputs, (list, tuple)) else [inputs])

    def get_input(self, index: int) -> "list[tf.Tensor]":
        """The list that was added as the index-th, from 0."""
        return self._inputs[index]


class _Structure:
    """What input_fn returned: tensors in lists, tuples, dicts; model_fn gets its own in the same ones, on top a list."""

    def __init__(self, result):
        if isinstance(result, (tf.data.Dataset, tf.compat.v2.data.Dataset)):
            raise InvalidArgumentError("input_fn returned a data set; return the tensors of its next element: "
                                       "tf.data.make_one_shot_iterator(dataset).get_next()")
        self._is_spec = isinstance(result, InputSpec)
        if self._is_spec:
            result = result._inputs
        elif type(result) is tuple:
            result = list(result)
        elif not tf.nest.is_nested(result):
            result = [result]
        self._shape = result

    def flat(self):
        return tf.nest.flatten(self._shape)

    def packed(self, tensors):
        packed = tf.nest.pack_sequence_as(self._shape, tensors)
        if not self._is_spec:
            return packed
        spec = InputSpec()
        spec._inputs = packed
        return spec


def _check_graph(graph):
    if graph.get_collection(tf.GraphKeys.QUEUE_RUNNERS):
        raise UnsupportedError("input_fn uses queue runners (tf.train.batch, slice_input_producer, …), which the engine does "
                               "not run; read the data with tf.data")


class Input:
    """One device's inputs are tower(i). `inter`: that of inter_mode."""

    def __init__(self, assembly, input_fn, mode, seed, errors, inter=False):
        self._assembly = assembly
        self._inter = inter
        self.graph = new_graph(seed)  # kept: Python functions in the pipeline live as long as it
        with self.graph.as_default(), errors.recording():
            self._structure = _Structure(user_functions.call("input_fn", input_fn, mode))
            outputs = [returned.value(output) for output in self._structure.flat()]
        _check_graph(self.graph)
        state = state_of(self.graph)
        self.class_names = state.class_names
        self.lifted = assembly.add_input(self.graph.as_graph_def(add_shapes=True).SerializeToString(), outputs, state.feeds,
                                         self._initializers(state), state.class_names, inter)
        self._towers = None

    def _initializers(self, state):
        with self.graph.as_default():
            variables = tf.global_variables() + tf.local_variables()
        tables = self.graph.get_collection(tf.GraphKeys.TABLE_INITIALIZERS)
        return [v.initializer.name for v in variables] + [op.name for op in tables] + state.initializers

    def import_into_current_graph(self):
        names = [name for tower in self.lifted.tower_inputs for name in tower]
        tensors = tf.import_graph_def(tf.GraphDef.FromString(self.lifted.graph), name=engine.input_scope(self._inter),
                                      return_elements=names)
        self._assembly.place_input(tensors[0].name.removesuffix(names[0]), self._inter)
        width = len(self.lifted.batch)
        self._towers = [tensors[i:i + width] for i in range(0, len(tensors), width)]
        for tower in self._towers:
            for tensor, batch in zip(tower, self.lifted.batch):
                tensor.set_shape(_static_shape(batch))

    def tower(self, i):
        """A device's tensors."""
        return list(self._towers[i])

    def for_model(self, tensors):
        """Tensors such as a device's, as input_fn arranged them."""
        return self._structure.packed(tensors)

    def export_placeholders(self, auto_batch):
        """Placeholders like one device's inputs."""
        return [tf.placeholder(tf.as_dtype(tensor.dtype), _static_shape(tensor), name=tensor.name)
                for tensor in engine.export_inputs(self.lifted.batch, auto_batch)]


def _static_shape(tensor):
    return None if tensor.shape is None else [None if size < 0 else size for size in tensor.shape]
