"""Graphs from C++ in tf.Graph: tf.import_graph_def, and a short way for what comes in tens of thousands of operations.

tf.import_graph_def looks at each node five times in Python; of what the engine builds, C++ has seen to all of that.
"""
import contextlib

from tensorflow.python.client import pywrap_tf_session as c_api
from tensorflow.python.framework import c_api_util, importer

from moxing.tensorflow._runtime import tf


def _is_plain(graph, serialized, input_map):
    """Nothing around the import wants something of the new operations but the device scope, and nothing in them is special."""
    return (type(graph) is tf.Graph and not graph._attr_scope_map and not list(graph._colocation_stack.peek_objs())
            and not graph._gradient_override_map and not graph._op_to_kernel_label_map and not graph._current_control_dependencies()
            and graph._get_control_flow_context() is None and b"loc:@" not in serialized
            and all(isinstance(tensor, tf.Tensor) and tensor.graph is graph and tensor.op._get_control_flow_context() is None
                    for tensor in input_map.values()))


def _add_operations(graph):
    scopes = list(graph._device_function_stack.peek_objs())
    for c_op in graph.new_operations():
        op = graph._create_op_from_tf_operation(c_op, compute_device=False)
        if scopes:  # the operation's own wish goes before
            with graph.device(op.device) if op.device else contextlib.nullcontext():
                op._set_device("")
                graph._apply_device_functions(op)


def import_serialized(serialized, name, input_map, return_elements):
    """As tf.import_graph_def of a serialized graph without functions; `name`: as there, "" for names as they are."""
    graph = tf.get_default_graph()
    if not _is_plain(graph, serialized, input_map):
        return tf.import_graph_def(tf.GraphDef.FromString(serialized), name=name, input_map=input_map, return_elements=return_elements)
    with tf.name_scope(name or None) as scope:
        scoped = c_api_util.ScopedTFImportGraphDefOptions()
        importer._PopulateTFImportGraphDefOptions(scoped.options, scope[:-1] if scope else "", input_map, return_elements, True)
        buffer = c_api.TF_NewBufferFromString(serialized)
        with graph._mutation_lock():
            try:
                with graph._c_graph.get() as c_graph:
                    results = c_api_util.ScopedTFImportGraphDefResults(
                        c_api.TF_GraphImportGraphDefWithResults(c_graph, buffer, scoped.options))
            except tf.errors.InvalidArgumentError as e:
                raise ValueError(str(e)) from None
            finally:
                c_api.TF_DeleteBuffer(buffer)
            _add_operations(graph)
        return importer._GatherReturnElements(tuple(return_elements), graph, results.results)
