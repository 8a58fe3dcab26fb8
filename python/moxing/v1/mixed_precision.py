"""tf.contrib.mixed_precision. In mox.run the engine scales the loss itself (inputs.py hands it the manager's numbers)."""
from moxing.v1.view import View

_made = []  # the class, once a script has asked for it


class FixedLossScaleManager:
    def __init__(self, loss_scale):
        if loss_scale < 1:
            raise ValueError(f"loss scale must be at least 1, but it is {loss_scale}")
        self.flags = {"loss_scale": float(loss_scale)}


class ExponentialUpdateLossScaleManager:
    def __init__(self, init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2, decr_ratio=0.8):
        self.initial, self.period, self.ratio = float(init_loss_scale), int(incr_every_n_steps), float(incr_ratio)
        self.flags = {"loss_scale": "dynamic", "loss_scale_growth_steps": self.period}


def _optimizer_class(tf):
    experimental = tf.train.experimental

    class LossScaleOptimizer(experimental.MixedPrecisionLossScaleOptimizer):
        def __init__(self, opt, loss_scale_manager):
            if isinstance(loss_scale_manager, ExponentialUpdateLossScaleManager):
                scale = experimental.DynamicLossScale(loss_scale_manager.initial, loss_scale_manager.period,
                                                      loss_scale_manager.ratio)
            else:
                scale = experimental.FixedLossScale(loss_scale_manager.flags["loss_scale"])
            super().__init__(opt, scale)
            self.inner, self.manager = opt, loss_scale_manager

    return LossScaleOptimizer


def view(tf):
    if not _made:
        _made.append(_optimizer_class(tf))
    return View("tensorflow.contrib.mixed_precision", {
        "LossScaleOptimizer": _made[0], "FixedLossScaleManager": FixedLossScaleManager,
        "ExponentialUpdateLossScaleManager": ExponentialUpdateLossScaleManager})


def may_be_used():
    return bool(_made)


def unwrapped(optimizer):
    """(the optimizer inside, flags of MoXing that do what the manager does); flags None for any other optimizer."""
    if _made and isinstance(optimizer, _made[0]):
        return optimizer.inner, optimizer.manager.flags
    return optimizer, None
