"""What a user's function returned, as the engine's checks take it."""
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._fragments import shape_list
from moxing.tensorflow._runtime import engine, tf


def value(returned):
    """One value that should be a tensor of the current graph."""
    if not isinstance(returned, tf.Tensor) or not hasattr(returned, "graph"):
        return engine.Returned.no_tensor(_what_it_is(returned))
    info = engine.InputTensor(returned.name, returned.dtype.as_datatype_enum, shape_list(returned.shape))
    return engine.Returned(info, returned.graph is not tf.get_default_graph())


def _what_it_is(returned):
    kind = type(returned).__name__
    if isinstance(returned, tf.Tensor):
        return f"an {kind} (a value that was computed already: what a graph computes is made inside the function, and of tensors that " \
               "are made there; leave out tf.enable_eager_execution and tf.init_scope)"
    return kind


def named(values, field, mode):
    """A dict name -> what a tensor can be made of."""
    if not values:
        return []
    if not isinstance(values, dict):
        raise InvalidArgumentError(f"{field} of model_fn is {type(values).__name__}, expected a dict: name -> tensor ({mode})")
    return [(str(name), _converted(item)) for name, item in values.items()]


def _converted(item):
    try:
        return value(tf.convert_to_tensor(item))
    except (TypeError, ValueError) as e:
        return engine.Returned.no_tensor(f"{type(item).__name__} ({e})")


def spec(model_spec, mode):
    """What `mode` uses of a ModelSpec."""
    losses = [value(loss) for loss in model_spec.losses()]
    result = engine.ReturnedSpec(losses, model_spec.scopes() if model_spec.var_scopes else [])
    if mode != "EXPORT":
        result.log_info = named(model_spec.log_info, "log_info", mode)
        result.output_info = named(model_spec.output_info, "output_info", mode)
    elif model_spec.export_spec is not None:
        given = model_spec.export_spec
        signatures = [("serving_default", "export_spec", given.inputs_dict, given.outputs_dict)]
        signatures += [(name, f"export_spec.signatures[{name!r}]", *dicts) for name, dicts in given.further_signatures()]
        result.set_export([(name, named(inputs, f"{field}.inputs_dict", mode), named(outputs, f"{field}.outputs_dict", mode))
                           for name, field, inputs, outputs in signatures], given.version_name())
    return result
