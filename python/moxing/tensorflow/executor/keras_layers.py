"""Keras layers in model_fn: the names of their variables, and what they want done in each step."""
import collections
import contextlib
import os
import sys

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import tf

_ASSIGNMENTS = frozenset(["AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"])
_NAMES = "object_name_uids"


@contextlib.contextmanager
def own_names():
    """Inside, Keras counts its layers from the start: it goes on over graphs, and a checkpoint would not fit the next."""
    state = sys.modules.get("keras.src.backend.common.global_state")
    if state is None:  # not imported yet: it has not counted
        yield
        return
    before = state.get_global_attribute(_NAMES)
    state.set_global_attribute(_NAMES, collections.defaultdict(int))
    try:
        yield
    finally:
        state.set_global_attribute(_NAMES, before)


def _packages():
    return tuple(os.path.dirname(os.path.abspath(module.__file__)) + os.sep
                 for module in (sys.modules.get("keras"), sys.modules.get("tf_keras"))
                 if getattr(module, "__file__", None))


def _made_by(operation, packages, function=None):
    # An operation that was imported, as those of the built-in networks are, has no traceback.
    return any(frame.filename.startswith(packages) and function in (None, frame.name) for frame in operation.traceback or ())


def updates(graph):
    """What layers assign when they are called (moving averages, states of random numbers), as tf.layers' UPDATE_OPS.

    An assignment that the user makes, even of a layer's variable, is the user's to run.
    """
    packages = _packages()
    if not packages:
        return []
    _check_branches(graph, packages)
    initializers = {variable.initializer.name for variable in tf.global_variables()}
    return [op for op in graph.get_operations()
            if op.type in _ASSIGNMENTS and op.name not in initializers and _made_by(op, packages, "__call__")]


def _check_branches(graph, packages):
    """A branch of tf.cond runs what its result needs, and not what a layer updates beside that."""
    for function in graph._functions.values():
        branch = getattr(function, "graph", None)
        for op in branch.get_operations() if branch is not None else ():
            if op.type in _ASSIGNMENTS and op not in branch.control_outputs and _made_by(op, packages, "__call__"):
                raise InvalidArgumentError(
                    f"the Keras layer '{op.name.rpartition('/')[0]}' is called in a condition or a loop of model_fn (tf.cond, "
                    "tf.while_loop), where TensorFlow does not run what it updates in each step (moving averages, states of "
                    "random numbers): call the layer outside, or put the condition into a tf.function; a layer that makes one "
                    "itself is told training=True or training=False")


def is_calling():
    """Whether a layer is on the stack."""
    packages, frame = _packages(), sys._getframe(1)
    while packages and frame is not None:
        if frame.f_code.co_filename.startswith(packages):
            return True
        frame = frame.f_back
    return False


def made(variable):
    """Whether a layer made the variable."""
    packages = _packages()
    return bool(packages) and _made_by(variable.op, packages)
