"""Made by scripts/stubs.py of what `import moxing.tensorflow.optimizer` gives; not to be changed by hand."""
from collections.abc import Callable
from typing import Any
from moxing.tensorflow.optimizer import learning_rate_scheduler as learning_rate_scheduler

def get_optimizer_fn(name: str, learning_rate: Any, scope: str | None = None, *args: Any, **kwargs: Any) -> Callable[[], Any]:
    """A function that makes the optimizer: for run's optimizer_fn, or to be called inside one.

    name: adadelta, adagrad, adam, adamw, ftrl, lamb, momentum, rmsprop or sgd. learning_rate: a number, a scalar tensor, or a
    function that returns one. scope: name scope of its operations. args and
    kwargs go to the optimizer: those of tf.train, for adamw and lamb beta1, beta2, epsilon, weight_decay and
    exclude_from_weight_decay.

    Raises InvalidArgumentError for another name, which lists them, and for an option that the optimizer does not have.
    """

def get_optimizer_wrapper_fn(name: str, optimizer: Any, *args: Any, **kwargs: Any) -> Callable[[], Any]:
    """A function that makes the optimizer inside a wrapper.

    name: lars (ratio, weight_decay, skip_one_dimensional), batch_gradients (num_batches, sync_on_apply) or dgc
    (sparsity_strategy, num_samples, global_batch_size, momentum, use_nesterov, momentum_factor_masking). optimizer: what
    get_optimizer_fn(…)() or a wrapper returned, or the function itself. Wrappers nest. kwargs: the options of the wrapper, by name;
    args: none.

    Raises InvalidArgumentError for another name or option, and for an optimizer that something else made.
    """
