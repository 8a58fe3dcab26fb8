"""The variables of a part that is built in C++: by tf.get_variable, or many at once where that comes to the same."""
import collections
import weakref

from tensorflow.python.framework import ops
from tensorflow.python.ops import handle_data_util, resource_variable_ops, variable_scope

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._import import import_serialized
from moxing.tensorflow._runtime import tf

MODEL_COLLECTIONS = (tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES)
OTHER_COLLECTIONS = (tf.GraphKeys.GLOBAL_VARIABLES,)
# Of a variable that a fragment wants: `index`, the place of its initial value in the fragment.
Entry = collections.namedtuple("Entry", ["name", "dtype", "shape", "trainable", "index"])


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
            graph = tf.get_default_graph()
            with graph._attr_scope({"_class": None} if "_class" in graph._attr_scope_map else {}):
                self._values = import_serialized(self._fragment.initializers, self._name + "_initializers", {}, names)
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


def _is_plain(scope, graph):
    """tf.get_variable would ask nobody: no getter, regularizer, … of the scope, no creator that has something to do."""
    wishes = (scope.custom_getter, scope.regularizer, scope.partitioner, scope.constraint, scope.caching_device)
    creators = [creator for _, creator in graph._variable_creator_stack]
    return (type(graph) is tf.Graph and not any(wish is not None for wish in wishes)
            and all(getattr(creator, "moxing_passes", _never)() for creator in creators)
            and graph._get_control_flow_context() is None)


def _never():
    return False


def _fits(found, entry):
    return hasattr(found, "handle") and found.dtype.base_dtype == entry.dtype and found.shape.as_list() == list(entry.shape)


def _definition(names, entries):
    """The operations of resource variables, named as TensorFlow names them."""
    definition = tf.GraphDef()
    for i, (name, entry) in enumerate(zip(names, entries)):
        dtype = entry.dtype.as_datatype_enum
        handle = definition.node.add(name=name, op="VarHandleOp")
        handle.attr["dtype"].type = dtype
        shape = handle.attr["shape"].shape
        shape.SetInParent()
        for size in entry.shape:
            shape.dim.add(size=size)
        handle.attr["shared_name"].s = name.encode()
        definition.node.add(name=f"{name}/IsInitialized/VarIsInitializedOp", op="VarIsInitializedOp", input=[name])
        assign = definition.node.add(name=f"{name}/Assign", op="AssignVariableOp", input=[name, f"value_{i}"])
        assign.attr["dtype"].type = dtype
        read = definition.node.add(name=f"{name}/Read/ReadVariableOp", op="ReadVariableOp", input=[name])
        read.attr["dtype"].type = dtype
    return definition.SerializeToString()


def _variable(graph, name, entry, initial_value, keys):
    handle = graph.get_tensor_by_name(name + ":0")
    handle._handle_data = handle_data_util.get_resource_handle_data(handle)
    handle._unique_id = name
    variable = resource_variable_ops.ResourceVariable.__new__(resource_variable_ops.ResourceVariable)
    handle._parent_trackable = weakref.ref(variable)
    resource_variable_ops.BaseResourceVariable.__init__(
        variable, trainable=entry.trainable, shape=entry.shape, dtype=entry.dtype, handle=handle, name=name, unique_id=name,
        handle_name=name, graph_element=graph.get_tensor_by_name(f"{name}/Read/ReadVariableOp:0"), initial_value=initial_value,
        initializer_op=graph.get_operation_by_name(f"{name}/Assign"),
        is_initialized_op=graph.get_tensor_by_name(f"{name}/IsInitialized/VarIsInitializedOp:0"), in_graph_mode=True)
    ops.add_to_collections([*keys, tf.GraphKeys.TRAINABLE_VARIABLES] if entry.trainable else keys, variable)
    return variable


def _at_once(entries, initializers, keys):
    """As tf.get_variable would return them; None where it must be asked."""
    graph, scope = tf.get_default_graph(), tf.get_variable_scope()
    store = variable_scope._get_default_variable_store()
    if not _is_plain(scope, graph):
        return None
    names = [f"{scope.name}/{entry.name}" if scope.name else entry.name for entry in entries]
    there = [store._vars.get(name) for name in names]
    if all(variable is not None for variable in there):
        return there if scope.reuse and all(map(_fits, there, entries)) else None
    if any(variable is not None for variable in there) or scope.reuse is True or any(name.lower() in graph._names_in_use for name in names):
        return None
    with tf.control_dependencies(None), tf.name_scope(None):
        with tf.device(None):
            values = [initializers.value(entry.index) for entry in entries]
        if any(value.dtype != entry.dtype for value, entry in zip(values, entries)):
            return None
        import_serialized(_definition(names, entries), "", {f"value_{i}:0": value for i, value in enumerate(values)}, [])
        made = [_variable(graph, name, entry, value, keys) for name, entry, value in zip(names, entries, values)]
    store._vars.update(zip(names, made))
    return made


def get_variables(entries, initializers, keys):
    """Of a list of entries: created or reused in the current variable scope, as by tf.get_variable, in the collections `keys`."""
    made = _at_once(entries, initializers, keys) if entries else []
    if made is not None:
        return made
    return [tf.get_variable(entry.name, shape=entry.shape, dtype=entry.dtype, initializer=initializers.of(entry.index),
                            trainable=entry.trainable, use_resource=True, collections=list(keys)) for entry in entries]


def variables_of(fragment, name):
    """input_map entries: the handle of each variable of the fragment, which is called `name`."""
    entries, handles = [], {}
    variables = fragment.variables  # made anew by each look
    for i, (variable_name, handle, _, dtype, shape, trainable) in enumerate(variables):
        if variable_name == "global_step":
            handles[handle] = resource_global_step().handle
        else:
            entries.append(Entry(variable_name, tf.as_dtype(dtype), shape, trainable, i))
    for entry, variable in zip(entries, get_variables(entries, FragmentInitializers(fragment, name), MODEL_COLLECTIONS)):
        if not hasattr(variable, "handle"):
            raise InvalidArgumentError(f"the variable {entry.name} of {name} must be a resource variable of type "
                                       f"{entry.dtype.name}; a custom_getter around it, or tf.disable_v2_behavior() without "
                                       f"tf.enable_resource_variables(), made it {variable}")
        handles[variables[entry.index][1]] = variable.handle
    return handles
