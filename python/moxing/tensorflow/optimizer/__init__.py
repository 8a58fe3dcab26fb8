"""Optimizers by name."""
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import tf
from moxing.tensorflow.optimizer import learning_rate_scheduler


def _momentum(learning_rate, momentum=0.9, *args, **kwargs):
    return tf.train.MomentumOptimizer(learning_rate, momentum, *args, **kwargs)


_OPTIMIZERS = {
    "adadelta": tf.train.AdadeltaOptimizer,
    "adagrad": tf.train.AdagradOptimizer,
    "adam": tf.train.AdamOptimizer,
    "ftrl": tf.train.FtrlOptimizer,
    "momentum": _momentum,
    "rmsprop": tf.train.RMSPropOptimizer,
    "sgd": tf.train.GradientDescentOptimizer,
}


def get_optimizer_fn(name, learning_rate, scope=None, *args, **kwargs):
    """A function that makes the optimizer: for run's optimizer_fn, or to be called inside one.

    scope: name scope of its operations. args and kwargs go to the optimizer of tf.train.
    """
    if name not in _OPTIMIZERS:
        raise InvalidArgumentError(f"there is no optimizer '{name}'; there are: {', '.join(_OPTIMIZERS)}")

    def optimizer_fn():
        with tf.name_scope(scope):
            return _OPTIMIZERS[name](learning_rate, *args, **kwargs)

    return optimizer_fn


__all__ = ["get_optimizer_fn", "learning_rate_scheduler"]
