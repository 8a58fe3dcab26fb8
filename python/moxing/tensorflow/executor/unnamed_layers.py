"""Layers without a name (tf.layers, TF-Slim, variable_scope(None, default_name=…)) have the same ones on every device."""
import contextlib
import sys

from tensorflow.python.ops import variable_scope

from moxing.tensorflow._runtime import tf


@contextlib.contextmanager
def own_names():
    """Inside, what has no name is counted from the start: another device's layer finds the variables of the first's."""
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
