"""DyMomentumOptimizer with decoupled weight decay (Loshchilov and Hutter 2017)."""
from collections.abc import Sequence
from typing import Any

from moxing.tensorflow._runtime import tf
from moxing.tensorflow.optimizer.dynamic_momentum import DyMomentumOptimizer

__all__ = ["DyMomentumWOptimizer"]


class DyMomentumWOptimizer(DyMomentumOptimizer):
    """As DyMomentumOptimizer, with its arguments; each update also takes learning_rate * weight_decay of the variable away: leave the
    regularization losses out."""

    def apply_gradients(self, grads_and_vars: "Sequence[tuple[Any, Any]]", global_step: "Any" = None,
                        name: "str | None" = None) -> "tf.Operation":
        """The operation that updates the variables of grads_and_vars, (gradient, variable) each, and then adds 1 to global_step
        (None: to nothing). name: of the operation."""
        pairs = [(gradient, variable) for gradient, variable in grads_and_vars if gradient is not None]
        rate = self._rates[0]
        rate = tf.cast(tf.convert_to_tensor(rate() if callable(rate) else rate), tf.float32)
        decays = [tf.cast(rate * self._weight_decay, v.dtype.base_dtype) * tf.convert_to_tensor(v) for _, v in pairs]
        with tf.control_dependencies(decays):
            applied = super().apply_gradients(pairs)
        with tf.control_dependencies([applied]):
            updates = [v.assign_sub(decay, use_locking=self._use_locking, read_value=False) for decay, (_, v) in zip(decays, pairs)]
        with tf.control_dependencies(updates):
            if global_step is None:
                return tf.no_op(name=name)
            return tf.assign_add(global_step, 1, name=name).op
