"""Imports what is built in C++ (networks, preprocessing, data sets, schedules) into the current graph."""
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._graph_state import state_of
from moxing.tensorflow._runtime import engine, new_array, tf


def shape_list(shape):
    """A static shape as the engine takes it: None when the rank is unknown, -1 for an unknown size."""
    return None if shape.rank is None else [-1 if size is None else size for size in shape.as_list()]


def image_tensor(images, who):
    if not tf.is_tensor(images):
        raise InvalidArgumentError(f"{who} takes a tensor, got {type(images).__name__}; tf.convert_to_tensor makes one")
    return tf.convert_to_tensor(images)


class FragmentInitializers:
    """The initial values of a fragment's variables: imported when the first variable is created, if any is."""

    def __init__(self, fragment, name):
        self._fragment = fragment
        self._name = name
        self._values = None

    def value(self, index):
        if self._values is None:
            names = [variable[2] for variable in self._fragment.variables]
            # Under tf.disable_v2_behavior a variable asks its initializer's operations to lie beside it, which is not made
            # yet; and these are all variables' initial values, not its own alone.
            with tf.get_default_graph()._attr_scope({"_class": None}):
                self._values = tf.import_graph_def(tf.GraphDef.FromString(self._fragment.initializers),
                                                   name=self._name + "_initializers", return_elements=names)
        return self._values[index]

    def of(self, index):
        """An initializer as tf.get_variable takes it."""

        def initializer(shape, dtype=None, partition_info=None):
            value = self.value(index)
            return value if dtype is None or value.dtype == dtype else tf.cast(value, dtype)

        return initializer


def resource_global_step():
    """The graph's, made as a resource variable when there is none."""
    with tf.variable_scope(tf.get_variable_scope(), use_resource=True, auxiliary_name_scope=False):
        return tf.train.get_or_create_global_step()


def _variables(fragment, name):
    """input_map entries: the handle of each variable, created or reused in the current variable scope."""
    initializers = FragmentInitializers(fragment, name)
    handles = {}
    for i, (variable_name, handle, _, dtype, shape, trainable) in enumerate(fragment.variables):
        if variable_name == "global_step":
            variable = resource_global_step()
        else:
            variable = tf.get_variable(
                variable_name, shape=shape, dtype=tf.as_dtype(dtype), initializer=initializers.of(i), trainable=trainable,
                use_resource=True, collections=[tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES])
        if not hasattr(variable, "handle"):
            raise InvalidArgumentError(f"the variable {variable_name} of {name} must be a resource variable of type "
                                       f"{tf.as_dtype(dtype).name}; a custom_getter around it, or tf.disable_v2_behavior() without "
                                       f"tf.enable_resource_variables(), made it {variable}")
        handles[handle] = variable.handle
    return handles


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
    return tf.import_graph_def(graph_def, name=scope, input_map=input_map, return_elements=return_elements)


def import_fragment(fragment, name, inputs=()):
    """Imports it under the name scope `name`; returns its outputs, a list of (name, tensor)."""
    if tf.executing_eagerly():
        raise InvalidArgumentError(f"{name} adds to a graph: call it inside input_fn, model_fn or optimizer_fn, or under "
                                   "`with tf.Graph().as_default():`")
    input_map = dict(_variables(fragment, name))
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
