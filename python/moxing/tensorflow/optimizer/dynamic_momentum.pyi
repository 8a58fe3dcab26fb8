"""Made by scripts/stubs.py of what `import moxing.tensorflow.optimizer.dynamic_momentum` gives; not to be changed by hand."""
from typing import Any
import tensorflow.compat.v1 as tf

class DyMomentumOptimizer(tf.train.MomentumOptimizer):
    """The momentum is max_mom where the rate is min_lr, min_mom where it is max_lr, and in a line between.

    learning_rate: a schedule from min_lr to max_lr and back, such as learning_rate_scheduler.linear_cosine_decay, from which
    the momentum follows: global_step, max_iteration and cooldown are taken and not looked at. weight_decay belongs to LARS
    here; use_lars is not offered (UnsupportedError): mox.get_optimizer_wrapper_fn has it. use_nesterov, use_locking, name: as those
    of tf.train.MomentumOptimizer.
    """
    def __init__(
        self,
        learning_rate: Any,
        max_lr: float,
        min_lr: float,
        max_mom: float = 0.98,
        min_mom: float = 0.85,
        global_step: Any = None,
        max_iteration: int | None = None,
        use_nesterov: bool = False,
        cooldown: float = 0,
        use_lars: bool = False,
        weight_decay: float = 0,
        use_locking: bool = False,
        name: str = 'DyMomentum',
    ) -> None: ...
    def get_momentum(self) -> tf.Tensor:
        """The momentum at the current rate, a scalar tensor."""
