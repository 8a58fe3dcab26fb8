"""Optimizers that are written in C++: their operations are imported into the graph."""
from moxing._arguments import set_field
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._fragments import import_mapped
from moxing.tensorflow._runtime import tf
from moxing.tensorflow._variables import OTHER_COLLECTIONS, Entry, FragmentInitializers, get_variables, resource_global_step


def filled(options, values, who):
    """`options` of the engine with `values`, a dict, in it."""
    for key, value in values.items():
        if not hasattr(options, key):
            known = ", ".join(name for name in dir(options) if not name.startswith("_"))
            raise InvalidArgumentError(f"{who} has no option '{key}'; there are: {known}")
        set_field(options, key, value, who)
    return options


class EngineOptimizer(tf.train.Optimizer):
    """adamw, lamb, and every optimizer inside a wrapper. Works like an optimizer of tf.train; mox.run also gives it each
    device's own gradients."""

    def __init__(self, plan, learning_rate, name):
        super().__init__(use_locking=False, name=name)
        self.plan = plan
        self.learning_rate = learning_rate
        self._learning_rate_tensor = None

    def wrapped(self, name, options):
        return EngineOptimizer(self.plan.wrapped(name, options), self.learning_rate, name)

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        """One operation. Gradients are taken as those of one device."""
        pairs = [(tf.convert_to_tensor(g), v) for g, v in grads_and_vars if g is not None]
        if not pairs:
            raise InvalidArgumentError("apply_gradients got no gradient: none of the variables takes part in the loss")
        _, (updates,) = self.join_and_apply([[pairs]], [pairs], [""], "", prepare=False)
        with tf.control_dependencies(updates):
            if global_step is None:
                return tf.no_op(name=name)
            return tf.assign_add(global_step, 1, name=name).op

    def join_and_apply(self, losses, joined, tower_devices, variable_device, prepare=True):
        """losses[loss][tower] and joined[loss] are lists of (gradient, variable).

        Returns what is to be joined, in the shape of `losses`, and the operations of each loss.
        """
        variables = list({id(v): v for towers in losses for pairs in towers for _, v in pairs}.values())
        place = {id(v): i for i, v in enumerate(variables)}
        fragment = self.plan.build(
            [(v.op.name, v.dtype.base_dtype.as_datatype_enum, v.shape.as_list()) for v in variables], variable_device,
            tower_devices, [[[place[id(v)] for _, v in pairs] for pairs in towers] for towers in losses],
            [v.op.name for v in tf.global_variables()], prepare)
        with tf.device(None):  # the host's
            rate = self.learning_rate() if callable(self.learning_rate) else self.learning_rate
            self._learning_rate_tensor = tf.convert_to_tensor(rate, tf.float32, name="learning_rate")
        inputs = [self._learning_rate_tensor]
        inputs += [g for towers in losses for pairs in towers for g, _ in pairs]
        inputs += [g for pairs in joined for g, _ in pairs]
        tensors = [name for towers in fragment.prepared for names in towers for name in names]
        operations = [name for names in fragment.updates for name in names]
        elements = iter(self._import(fragment, variables, inputs, tensors + operations))
        prepared = [[[(next(elements), v) for _, v in pairs] for pairs in towers] for towers in losses]
        return prepared, [[next(elements) for _ in names] for names in fragment.updates]

    def _import(self, fragment, variables, inputs, elements):
        input_map = {handle: variable.handle for handle, variable in self._handles(fragment, variables).items()}
        for i, tensor in enumerate(inputs):
            input_map["input:0" if i == 0 else f"input_{i}:0"] = tensor
        with tf.device(None), tf.name_scope(self.get_name()) as scope:
            return import_mapped(fragment.graph, scope, input_map, elements)

    def _handles(self, fragment, variables):
        """The variable for each handle of the fragment; the optimizer's own are created."""
        known = {v.op.name: v for v in variables}
        initializers = FragmentInitializers(fragment, self.get_name())
        handles, own = {}, {}
        for i, (name, handle, _, dtype, shape, device) in enumerate(fragment.variables):
            if name == "global_step":
                handles[handle] = resource_global_step()
            elif name in known:
                handles[handle] = known[name]
            else:
                own.setdefault(device or None, []).append((handle, Entry(name, tf.as_dtype(dtype), shape, False, i)))
        top = tf.VariableScope(reuse=False, name="", use_resource=True)
        for device, wanted in own.items():
            with tf.device(device), tf.variable_scope(top, auxiliary_name_scope=False):
                made = get_variables([entry for _, entry in wanted], initializers, OTHER_COLLECTIONS)
            handles.update(zip((handle for handle, _ in wanted), made))
        return handles
