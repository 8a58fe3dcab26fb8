"""Calls input_fn in a graph of its own, and brings its pipeline, lifted by the engine, into the main graph."""
from moxing.errors import InvalidArgumentError, UnsupportedError
from moxing.tensorflow._fragments import shape_list
from moxing.tensorflow._graph_state import new_graph, state_of
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.executor import user_functions


def _check_outputs(result, graph):
    if isinstance(result, (tf.data.Dataset, tf.compat.v2.data.Dataset)):
        raise InvalidArgumentError("input_fn returned a data set; return the tensors of its next element: "
                                   "tf.data.make_one_shot_iterator(dataset).get_next()")
    outputs = list(result) if isinstance(result, (list, tuple)) else [result]
    if not outputs:
        raise InvalidArgumentError("input_fn returned no tensor; return at least one")
    for i, output in enumerate(outputs):
        if not isinstance(output, tf.Tensor):
            raise InvalidArgumentError(f"input_fn returned {type(output).__name__} as element {i}; return TensorFlow tensors "
                                       "(tf.data.Dataset.from_generator takes any Python data)")
        if getattr(output, "graph", None) is not graph:
            raise InvalidArgumentError(f"input_fn returned {output.name}, a tensor that was made outside of input_fn; "
                                       "build the input inside the function")
    return outputs


def _check_graph(graph):
    if graph.get_collection(tf.GraphKeys.QUEUE_RUNNERS):
        raise UnsupportedError("input_fn uses queue runners (tf.train.batch, slice_input_producer, …), which the engine does "
                               "not run; read the data with tf.data")


def _batch_size(config, auto_batch, first):
    if config.batch_size > 0:
        return config.batch_size
    shape = first.shape
    if not auto_batch and shape.rank and shape.as_list()[0]:
        return shape.as_list()[0]
    if auto_batch:
        raise InvalidArgumentError("batch_size is needed with auto_batch: how many samples make a batch")
    raise InvalidArgumentError(f"batch_size is needed: the first input {first.name} has shape {shape}, which does not tell it")


class Input:
    """One device's inputs are tower(i); the rest is what the engine needs to start the pipeline."""

    def __init__(self, input_fn, config, mode, auto_batch, seed, errors, num_towers=None, name="input"):
        self.graph = new_graph(seed)  # kept: Python functions in the pipeline live as long as it
        with self.graph.as_default(), errors.recording():
            outputs = _check_outputs(user_functions.call("input_fn", input_fn, mode), self.graph)
        _check_graph(self.graph)
        state = state_of(self.graph)
        self.class_names = state.class_names
        self.batch_size = _batch_size(config, auto_batch, outputs[0])
        self.lifted = engine.lift_input(
            self.graph.as_graph_def(add_shapes=True).SerializeToString(),
            [engine.InputTensor(t.name, t.dtype.as_datatype_enum, shape_list(t.shape)) for t in outputs],
            state.feeds, self._initializers(state), auto_batch, self.batch_size,
            auto_batch and mode == "TRAIN", num_towers or config.num_gpus, name)
        self._towers = None
        self.prefix = ""  # of its nodes in the main graph

    def _initializers(self, state):
        with self.graph.as_default():
            variables = tf.global_variables() + tf.local_variables()
        tables = self.graph.get_collection(tf.GraphKeys.TABLE_INITIALIZERS)
        return [v.initializer.name for v in variables] + [op.name for op in tables] + state.initializers

    def import_into_current_graph(self, name=""):
        names = [name for tower in self.lifted.tower_inputs for name in tower]
        tensors = tf.import_graph_def(tf.GraphDef.FromString(self.lifted.graph), name=name, return_elements=names)
        self.prefix = tensors[0].name.removesuffix(names[0])
        width = len(self.lifted.batch)
        self._towers = [tensors[i:i + width] for i in range(0, len(tensors), width)]
        for tower in self._towers:
            for tensor, batch in zip(tower, self.lifted.batch):
                tensor.set_shape(_static_shape(batch))

    def initializers(self):
        """Names in the main graph; the last makes the iterator."""
        return [self.prefix + op for op in self.lifted.initializers]

    def feeds(self):
        return [(self.prefix + placeholder, value) for placeholder, value in self.lifted.feeds]

    def tower(self, i):
        return list(self._towers[i])

    def export_placeholders(self, auto_batch):
        """Placeholders like one device's inputs; with auto_batch of any batch size."""
        placeholders = []
        for i, batch in enumerate(self.lifted.batch):
            shape = _static_shape(batch)
            if auto_batch and shape is not None:
                shape[0] = None
            placeholders.append(tf.placeholder(tf.as_dtype(batch.dtype), shape, name=f"input_{i}"))
        return placeholders


def _static_shape(batch):
    return None if batch.shape is None else [None if size < 0 else size for size in batch.shape]
