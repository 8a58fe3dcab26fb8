"""Momentum that falls while the learning rate rises, and rises while it falls (one cycle, Smith 2018)."""
from typing import Any

from moxing._arguments import Integer, Number, Switch, checked
from moxing.errors import UnsupportedError
from moxing.tensorflow._runtime import tf

_RATE = Number(0, 1e30)
_MOMENTUM = Number(0, 1)


__all__ = ["DyMomentumOptimizer"]


class DyMomentumOptimizer(tf.train.MomentumOptimizer):
    """The momentum is max_mom where the rate is min_lr, min_mom where it is max_lr, and in a line between.

    learning_rate: a schedule from min_lr to max_lr and back, such as learning_rate_scheduler.linear_cosine_decay, from which
    the momentum follows: global_step, max_iteration and cooldown are taken and not looked at. weight_decay belongs to LARS
    here; use_lars is not offered (UnsupportedError): mox.get_optimizer_wrapper_fn has it. use_nesterov, use_locking, name: as those
    of tf.train.MomentumOptimizer.
    """

    @checked
    def __init__(self, learning_rate: "Any", max_lr: _RATE, min_lr: _RATE, max_mom: _MOMENTUM = 0.98, min_mom: _MOMENTUM = 0.85,
                 global_step: "Any" = None, max_iteration: Integer(0) = None, use_nesterov: Switch() = False, cooldown: Number(0) = 0,
                 use_lars: Switch() = False, weight_decay: Number(0, 1e6) = 0, use_locking: Switch() = False,
                 name: str = "DyMomentum"):
        if use_lars:
            raise UnsupportedError(f"{type(self).__name__}: use_lars is not offered by this version; use "
                                   "mox.get_optimizer_wrapper_fn('lars', mox.get_optimizer_fn('momentum', …))")
        self._rates = (learning_rate, max_lr, min_lr, max_mom, min_mom)
        self._weight_decay = weight_decay
        super().__init__(learning_rate, self.get_momentum, use_locking, name, use_nesterov)

    def get_momentum(self) -> "tf.Tensor":
        """The momentum at the current rate, a scalar tensor."""
        rate, max_lr, min_lr, max_mom, min_mom = self._rates
        rate = tf.cast(tf.convert_to_tensor(rate() if callable(rate) else rate), tf.float32)
        risen = tf.clip_by_value((rate - min_lr) / max(max_lr - min_lr, 1e-30), 0.0, 1.0)
        return max_mom - (max_mom - min_mom) * risen
