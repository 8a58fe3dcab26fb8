"""Optimizers by name, and wrappers around them."""
import inspect
from collections.abc import Callable
from typing import Any

from moxing._arguments import Number, Text, checked, shown, take
from moxing.errors import ArgumentTypeError, InvalidArgumentError
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.optimizer import learning_rate_scheduler
from moxing.tensorflow.optimizer.engine_optimizer import EngineOptimizer, filled


def _momentum(learning_rate, momentum=0.9, use_locking=False, name="Momentum", use_nesterov=False):
    return tf.train.MomentumOptimizer(learning_rate, momentum, use_locking, name, use_nesterov)


# What tf.train has; the others are the engine's.
_OPTIMIZERS = {
    "adadelta": tf.train.AdadeltaOptimizer,
    "adagrad": tf.train.AdagradOptimizer,
    "adam": tf.train.AdamOptimizer,
    "ftrl": tf.train.FtrlOptimizer,
    "momentum": _momentum,
    "rmsprop": tf.train.RMSPropOptimizer,
    "sgd": tf.train.GradientDescentOptimizer,
}
_NOT_FOR_THE_ENGINE = ("learning_rate", "use_locking", "name", "accumulator_name", "linear_name", "beta", "self")


def _check_rate(value):
    """A number must be one that can train; tensors and functions are the graph's."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        take("get_optimizer_fn", "learning_rate", value, Number(0, 1e30))
    elif value is None or isinstance(value, (str, bytes, bool)):
        raise ArgumentTypeError(f"get_optimizer_fn: learning_rate is {shown(value)}, expected a number, a scalar tensor or a function "
                                "that returns one")


def _check_options(name, values):
    known = engine.optimizer_option_names(name)
    for key in values:
        if key not in known:
            raise InvalidArgumentError(f"optimizer {name} has no option '{key}'; there are: {', '.join(known) or 'none'}")


def _engine_optimizer(name, learning_rate, values):
    _check_options(name, values)
    plan = engine.OptimizerPlan(name, filled(engine.OptimizerOptions(), values, f"optimizer {name}"))
    return EngineOptimizer(plan, learning_rate, name)


@checked
def get_optimizer_fn(name: Text("the name of an optimizer"), learning_rate: "Any", scope: Text() = None, *args: "Any",
                     **kwargs: "Any") -> "Callable[[], Any]":
    """A function that makes the optimizer: for run's optimizer_fn, or to be called inside one.

    name: adadelta, adagrad, adam, adamw, ftrl, lamb, momentum, rmsprop or sgd. learning_rate: a number, a scalar tensor, or a
    function that returns one. scope: name scope of its operations. args and
    kwargs go to the optimizer: those of tf.train, for adamw and lamb beta1, beta2, epsilon, weight_decay and
    exclude_from_weight_decay.

    Raises InvalidArgumentError for another name, which lists them, and for an option that the optimizer does not have.
    """
    _check_rate(learning_rate)
    names = engine.optimizer_names()
    if name not in names:
        raise InvalidArgumentError(f"there is no optimizer '{name}'; there are: {', '.join(names)}")
    if name not in _OPTIMIZERS:
        if args:
            raise InvalidArgumentError(f"optimizer {name} takes its options by name, e.g. weight_decay=0.01")
        _engine_optimizer(name, learning_rate, kwargs)  # raises for what cannot work

    def optimizer_fn():
        with tf.name_scope(scope):
            if name not in _OPTIMIZERS:
                return _engine_optimizer(name, learning_rate, kwargs)
            optimizer = _OPTIMIZERS[name](learning_rate, *args, **kwargs)
        optimizer.moxing_origin = (name, learning_rate, args, kwargs)  # a wrapper builds it anew, in C++
        return optimizer

    return optimizer_fn


def _for_the_engine(optimizer, wrapper):
    if callable(optimizer) and not isinstance(optimizer, tf.train.Optimizer):
        optimizer = optimizer()
    if isinstance(optimizer, EngineOptimizer):
        return optimizer
    origin = getattr(optimizer, "moxing_origin", None)
    if origin is None:
        raise InvalidArgumentError(f"get_optimizer_wrapper_fn('{wrapper}'): the optimizer is {type(optimizer).__name__}; wrap what "
                                   "mox.get_optimizer_fn(…)() or another wrapper returned")
    name, learning_rate, args, kwargs = origin
    bound = inspect.signature(_OPTIMIZERS[name]).bind(learning_rate, *args, **kwargs).arguments
    values = {key: value for key, value in bound.items() if key not in _NOT_FOR_THE_ENGINE}
    return _engine_optimizer(name, learning_rate, values)


@checked
def get_optimizer_wrapper_fn(name: Text("the name of a wrapper"), optimizer: "Any", *args: "Any",
                             **kwargs: "Any") -> "Callable[[], Any]":
    """A function that makes the optimizer inside a wrapper.

    name: lars (ratio, weight_decay, skip_one_dimensional), batch_gradients (num_batches, sync_on_apply) or dgc
    (sparsity_strategy, num_samples, global_batch_size, momentum, use_nesterov, momentum_factor_masking). optimizer: what
    get_optimizer_fn(…)() or a wrapper returned, or the function itself. Wrappers nest. kwargs: the options of the wrapper, by name;
    args: none.

    Raises InvalidArgumentError for another name or option, and for an optimizer that something else made.
    """
    if args:
        raise InvalidArgumentError(f"get_optimizer_wrapper_fn('{name}') takes its options by name, e.g. num_batches=8")
    names = engine.optimizer_wrapper_names()
    if name not in names:
        raise InvalidArgumentError(f"there is no optimizer wrapper '{name}'; there are: {', '.join(names)}")
    options = filled(engine.OptimizerWrapperOptions(), kwargs, f"optimizer wrapper {name}")
    # Its own options are checked now, not when the graph is built.
    engine.OptimizerPlan("sgd", engine.OptimizerOptions()).wrapped(name, options)

    def optimizer_fn():
        return _for_the_engine(optimizer, name).wrapped(name, options)

    return optimizer_fn


__all__ = ["get_optimizer_fn", "get_optimizer_wrapper_fn", "learning_rate_scheduler"]
