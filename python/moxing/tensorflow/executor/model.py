"""Calls model_fn, and describes the variables that it made."""
from tensorflow.python.ops import variable_scope

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._graph_state import state_of
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.executor import keras_layers, unnamed_layers, user_functions
from moxing.tensorflow.executor.specs import ExportSpec, ModelSpec


def call_model_fn(model_fn, inputs, mode):
    """What it returned: a ModelSpec, which the engine then checks."""
    with keras_layers.own_names(), unnamed_layers.as_on_first_device():
        spec = user_functions.call("model_fn", model_fn, inputs, mode)
    if not isinstance(spec, ModelSpec):
        raise InvalidArgumentError(f"model_fn returned {type(spec).__name__}; return mox.ModelSpec(…)")
    if spec.export_spec is not None and not isinstance(spec.export_spec, ExportSpec):
        raise InvalidArgumentError(f"ModelSpec.export_spec is {type(spec.export_spec).__name__}; give mox.ExportSpec(…)")
    return spec


def check_made_by_get_variable(num_gpus):
    """tf.Variable makes a new variable in every call: devices would not share it."""
    known = {id(variable) for variable in variable_scope._get_default_variable_store()._vars.values()}
    others = [variable for variable in tf.global_variables() if id(variable) not in known]
    for variable in others:
        if keras_layers.made(variable):
            continue  # shared: see unnamed_layers.py
        name = variable.op.name if num_gpus == 1 else variable.op.name.removeprefix("tower_0/")
        fix = f"use tf.get_variable('{name}', initializer=…)"
        if num_gpus == 1:
            engine.log_warning(f"model_fn made the variable '{name}' with tf.Variable, which devices cannot share; {fix}")
        else:
            raise InvalidArgumentError(f"model_fn made the variable '{name}' with tf.Variable: each of the {num_gpus} devices "
                                       f"would get its own; {fix}")


def check_made_no_variable(known, mode):
    """inter_mode shares the training's variables, the list `known`."""
    ids = {id(variable) for variable in known}
    for variable in tf.global_variables():
        if id(variable) not in ids:
            raise InvalidArgumentError(f"model_fn made the variable '{variable.op.name}' in inter_mode {mode} and not in TRAIN: "
                                       "inter_mode uses the variables of the training")


def variable_infos(mode):
    """The engine's description of all variables of the current graph."""
    trainable = {id(variable) for variable in tf.trainable_variables()}
    infos = []
    for variable in tf.global_variables():
        if not hasattr(variable, "handle"):
            raise InvalidArgumentError(f"the variable '{variable.op.name}' is a reference variable; MoXing runs resource "
                                       "variables: leave out use_resource=False")
        if not variable.shape.is_fully_defined():
            raise InvalidArgumentError(f"the variable '{variable.op.name}' has shape {variable.shape}; give it a fixed one")
        # A hook may read the step, which a checkpoint need not have.
        optional = mode != "TRAIN" and _is_unused_global_step(variable)
        if optional and mode == "EXPORT":
            continue
        infos.append(engine.VariableInfo(variable.op.name, variable.handle.op.name, variable.initializer.name,
                                         variable.dtype.base_dtype.as_datatype_enum, variable.shape.as_list(),
                                         id(variable) in trainable, optional))
    return infos


def make_global_step():
    """Made first in every mode, so that user functions find it."""
    step = tf.train.get_or_create_global_step()
    state_of().global_step = (step, len(step.handle.consumers()), [op.outputs for op in step.handle.consumers()])
    return step


def _is_unused_global_step(variable):
    """Not trained and read by nobody: no checkpoint need have it."""
    step, consumers, outputs = state_of().global_step
    if variable is not step or len(step.handle.consumers()) != consumers:
        return False
    return not any(tensor.consumers() for tensors in outputs for tensor in tensors)
