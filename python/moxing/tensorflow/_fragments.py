"""Imports what is built in C++ (networks, preprocessing, data sets, schedules) into the current graph."""
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._graph_state import state_of
from moxing.tensorflow._import import import_serialized
from moxing.tensorflow._runtime import engine, new_array, tf
from moxing.tensorflow._variables import variables_of


def shape_list(shape):
    """A static shape as the engine takes it: None when the rank is unknown, -1 for an unknown size."""
    return None if shape.rank is None else [-1 if size is None else size for size in shape.as_list()]


def image_tensor(images, who):
    if not tf.is_tensor(images):
        raise InvalidArgumentError(f"{who} takes a tensor, got {type(images).__name__}; tf.convert_to_tensor makes one")
    return tf.convert_to_tensor(images)


def _add_collections(fragment, prefix, dtype):
    """`dtype`: of the losses, where it is a floating point type: what is computed in 16 bits can be added to them as it is."""
    graph = tf.get_default_graph()
    state = state_of(graph)
    for op in fragment.update_ops:
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, graph.get_operation_by_name(prefix + op))
    for tensor in fragment.summaries:
        tf.add_to_collection(tf.GraphKeys.SUMMARIES, graph.get_tensor_by_name(prefix + tensor))
    scope = tf.get_variable_scope().name
    for tensor, variables in fragment.regularization_losses:
        keys = {(state.tower, scope, variable) for variable in variables}
        if keys <= state.regularized:
            continue  # the same variables, used a second time
        state.regularized |= keys
        loss = graph.get_tensor_by_name(prefix + tensor)  # a sum of float32
        if dtype.is_floating and dtype != loss.dtype:
            loss = tf.cast(loss, dtype)
        state.network_losses.append(loss)
        tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, loss)


def _fed_value(value):
    """A tensor of C++ in a graph that a plain tf.Session runs: it stays out of the GraphDef."""
    array = engine.to_array(value, new_array)
    tensor = tf.numpy_function(lambda: array, [], tf.string if array.dtype == object else tf.as_dtype(array.dtype))
    tensor.set_shape(array.shape)
    return tensor


def _initialize_with_variables(initializers):
    """Iterators of a plain session's graph start with tf.local_variables_initializer(), as the manual's examples do."""
    with tf.control_dependencies(initializers):
        tf.Variable(tf.constant(True), trainable=False, use_resource=True, name="iterator_ready",
                    collections=[tf.GraphKeys.LOCAL_VARIABLES])


def import_mapped(graph, scope, input_map, return_elements):
    """tf.import_graph_def of a serialized graph; what waits for a replaced node waits for its replacement."""
    graph_def = tf.GraphDef.FromString(graph)
    awaited = {text for node in graph_def.node for text in node.input if text.startswith("^")}
    controls = {"^" + key.split(":")[0]: tensor for key, tensor in input_map.items()}
    input_map = {**input_map, **{key: tensor for key, tensor in controls.items() if key in awaited}}
    if graph_def.library.function:
        return tf.import_graph_def(graph_def, name=scope, input_map=input_map, return_elements=return_elements)
    return import_serialized(graph, scope, input_map, return_elements)


def import_fragment(fragment, name, inputs=()):
    """Imports it under the name scope `name`; returns its outputs, a list of (name, tensor)."""
    if tf.executing_eagerly():
        raise InvalidArgumentError(f"{name} adds to a graph: call it inside input_fn, model_fn or optimizer_fn, or under "
                                   "`with tf.Graph().as_default():`")
    input_map = variables_of(fragment, name)
    managed = state_of().managed
    if not managed:
        input_map.update({placeholder + ":0": _fed_value(value) for placeholder, value in fragment.feeds})
    for i, tensor in enumerate(inputs):
        input_map["input:0" if i == 0 else f"input_{i}:0"] = tensor
    graph = tf.get_default_graph()
    with tf.name_scope(name) as scope:
        tensors = import_mapped(fragment.graph, scope, input_map, [tensor for _, tensor in fragment.outputs])
    _add_collections(fragment, scope, inputs[0].dtype.base_dtype if inputs else tf.float32)
    state = state_of(graph)
    if managed:
        state.feeds += [(scope + placeholder, tensor) for placeholder, tensor in fragment.feeds]
        state.initializers += [scope + op for op in fragment.iterator_initializers]
    elif fragment.iterator_initializers:
        _initialize_with_variables([graph.get_operation_by_name(scope + op) for op in fragment.iterator_initializers])
    if fragment.class_names:
        state.class_names = fragment.class_names
    return [(key, tensor) for (key, _), tensor in zip(fragment.outputs, tensors)]
