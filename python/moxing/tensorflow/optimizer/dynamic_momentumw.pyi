"""Made by scripts/stubs.py of what `import moxing.tensorflow.optimizer.dynamic_momentumw` gives; not to be changed by hand."""
from collections.abc import Sequence
from typing import Any
import tensorflow.compat.v1 as tf
from moxing.tensorflow.optimizer.dynamic_momentum import DyMomentumOptimizer

class DyMomentumWOptimizer(DyMomentumOptimizer):
    """As DyMomentumOptimizer, with its arguments; each update also takes learning_rate * weight_decay of the variable away: leave the
    regularization losses out.
    """
    def apply_gradients(self, grads_and_vars: Sequence[tuple[Any, Any]], global_step: Any = None, name: str | None = None) -> tf.Operation:
        """The operation that updates the variables of grads_and_vars, (gradient, variable) each, and then adds 1 to global_step
        (None: to nothing). name: of the operation.
        """
