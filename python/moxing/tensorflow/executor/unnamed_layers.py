"""model_fn once more, for another device: what it makes without a name has the names of the first device's, and Keras layers
have its variables, in the order in which they are made."""
import contextlib
import sys

from tensorflow.python.ops import variable_scope

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._graph_state import state_of
from moxing.tensorflow._runtime import tf
from moxing.tensorflow.executor import keras_layers


@contextlib.contextmanager
def as_on_first_device():
    with _own_names(), _shared_layer_variables():
        yield


@contextlib.contextmanager
def _own_names():
    """Inside, what has no name is counted from the start (tf.layers, TF-Slim, variable_scope(None, default_name=…))."""
    scopes = variable_scope.get_variable_scope_store()
    keras = sys.modules.get("tf_keras.src.backend")  # tf.layers is its
    uids = {} if keras is None else keras.PER_GRAPH_OBJECT_NAME_UIDS
    graph = tf.get_default_graph()
    before, before_uids = scopes.variable_scopes_count, uids.pop(graph, None)
    scopes.variable_scopes_count = {}
    try:
        yield
    finally:
        for name, count in before.items():
            scopes.variable_scopes_count[name] = max(count, scopes.variable_scopes_count.get(name, 0))
        if before_uids is not None and graph not in uids:
            uids[graph] = before_uids


@contextlib.contextmanager
def _outside_of_tower(graph):
    """A variable's name says nothing of the device that is built first."""
    scope = graph.get_name_scope()
    if scope != "tower_0" and not scope.startswith("tower_0/"):
        yield
        return
    inner = scope.removeprefix("tower_0").removeprefix("/")
    with tf.name_scope(inner + "/" if inner else None):
        yield


def _of_first_device(variables, kwargs):
    variable = next(variables, None)
    name, value = kwargs.get("name"), kwargs.get("initial_value")
    shape = tf.TensorShape(kwargs.get("shape") or tf.convert_to_tensor(value() if callable(value) else value).shape)
    if variable is None or not shape.is_compatible_with(variable.shape):
        first = "no more variables" if variable is None else f"'{variable.op.name}' of shape {variable.shape}"
        raise InvalidArgumentError(f"a Keras layer of model_fn makes the variable '{name}' of shape {shape}, where the first device has "
                                   f"{first}: make the same layers in the same order on every device")
    return variable


@contextlib.contextmanager
def _shared_layer_variables():
    graph = tf.get_default_graph()
    state = state_of(graph)
    first = state.layer_variables is None
    if first:
        state.layer_variables = []
    made = state.layer_variables
    known = iter(made)

    def creator(next_creator, **kwargs):
        collections = kwargs.get("collections")
        if not keras_layers.is_calling() or collections and tf.GraphKeys.GLOBAL_VARIABLES not in collections:
            return next_creator(**kwargs)
        if not first:
            return _of_first_device(known, kwargs)
        with _outside_of_tower(graph):
            made.append(next_creator(**kwargs))
        return made[-1]

    creator.moxing_passes = lambda: not keras_layers.is_calling()  # see _variables.py
    with tf.variable_creator_scope(creator):
        yield
