"""Hooks: code of the user around every step. ModelSpec(hooks=[…]) carries them; see docs/hooks.md.

Hooks that are written for tf.train.SessionRunHook work as they are; AggregativeSessionRunHook says more about itself.
"""
from typing import Any

import numpy as np

from moxing._arguments import Integer, Number, Text, checked, shown
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import engine, tf


class AggregativeSessionRunHook(tf.train.SessionRunHook):
    """A tf.train.SessionRunHook that says how it works on several devices and in inter_mode."""

    def support_aggregation(self) -> bool:
        """model_fn makes a hook for each device. True: they act as one, on the mean of what they fetch."""
        return False

    def support_sync_workers(self) -> bool:
        """Whether the hook may run where several workers train in step. In one process it makes no difference."""
        return False

    def run_inter_mode(self) -> bool:
        """True: the hook belongs to the graph of inter_mode, and the one made there is used."""
        return False


def fed_values(graph, feed_dict):
    """[(name, engine tensor)] of a feed_dict as tf.Session takes it."""
    feeds = []
    for key, value in (feed_dict or {}).items():
        tensor = graph.as_graph_element(key, allow_operation=False)
        array = np.asarray(value, tensor.dtype.as_numpy_dtype)
        if not tensor.shape.is_compatible_with(array.shape):
            raise ValueError(f"Cannot feed value of shape {array.shape} for tensor {tensor.name}, which has shape "
                             f"{tensor.shape}")
        if tensor.dtype == tf.string:
            data = [v if isinstance(v, bytes) else str(v).encode() for v in array.ravel().tolist()]
        else:
            data = array.tobytes()
        feeds.append((tensor.name, engine.make_tensor(tensor.dtype.as_datatype_enum, list(array.shape), data)))
    return feeds


class NativeHook(AggregativeSessionRunHook):
    """A hook that is written in C++: `native` is it. Its methods are not called from Python."""

    native = None


class FeedSessionRunHook(NativeHook):
    """Feeds placeholders of model_fn in every step, and in the evaluation steps of the graph that it was made for.

    feed_dict: placeholder -> value, taken as it is now. Raises InvalidArgumentError for a value of another shape or type.
    """

    def __init__(self, feed_dict: "dict[Any, Any]"):
        if not isinstance(feed_dict, dict):
            raise InvalidArgumentError(f"FeedSessionRunHook: feed_dict is {shown(feed_dict)}, expected a dict: placeholder -> value")
        try:
            feeds = fed_values(tf.get_default_graph(), feed_dict)
        except (TypeError, ValueError, KeyError) as e:
            raise InvalidArgumentError(f"FeedSessionRunHook: feed_dict is {shown(feed_dict)}, expected placeholder -> value: {e}") from None
        self.native = engine.FeedSessionRunHook(feeds)


def _scalars(monitor_info):
    if not isinstance(monitor_info, dict):
        raise InvalidArgumentError(f"monitor_info is {type(monitor_info).__name__}, expected a dict: name -> scalar tensor")
    for name, tensor in monitor_info.items():
        if not tf.is_tensor(tensor) or tensor.shape.rank not in (None, 0):
            raise InvalidArgumentError(f"monitor_info['{name}'] must be a scalar tensor, it is {tensor!r}")
    return [(str(name), tf.convert_to_tensor(tensor).name) for name, tensor in monitor_info.items()]


_BATCH_SIZE = Integer(1, engine.MAX_BATCH_SIZE)
_SAMPLES = Integer(1, engine.MAX_SAMPLES)
_EPOCHS = Integer(1, 1_000_000)
_FEW = Integer(0, 1_000_000)
_DEVICES = Integer(0, engine.MAX_DEVICES)
_MODE = Text("'auto', 'max' or 'min'")
_GAIN = Number(0, 1e30)


class LogEvaluationMetricHook(NativeHook):
    """Evaluates in inter_mode after every n-th epoch, and logs `[VALIDATION METRICS] step: 31 accuracy: 0.873`.

    monitor_info: name -> scalar tensor. batch_size: of a device. samples_in_train, samples_in_eval: of an epoch, of one
    evaluation. evaluate_every_n_epochs: n. prefix: of the names in the log. num_gpus: devices that share an epoch; None: those of
    the run.
    """

    @checked
    def __init__(self, monitor_info: "dict[str, Any]", batch_size: _BATCH_SIZE, samples_in_train: _SAMPLES, samples_in_eval: _SAMPLES,
                 evaluate_every_n_epochs: _EPOCHS = 1, prefix: Text().or_none() = "", num_gpus: _DEVICES = None):
        self._evaluation = (_scalars(monitor_info),
                            dict(batch_size=batch_size, samples_in_train=samples_in_train, samples_in_eval=samples_in_eval,
                                 evaluate_every_n_epochs=evaluate_every_n_epochs, num_gpus=num_gpus or 0), prefix or "")
        self.native = self._make_native()

    def _make_native(self):
        return engine.LogEvaluationMetricHook(*self._evaluation)

    def support_aggregation(self) -> bool:
        """True."""
        return True

    def support_sync_workers(self) -> bool:
        """True."""
        return True

    def run_inter_mode(self) -> bool:
        """True."""
        return True


class EarlyStoppingHook(LogEvaluationMetricHook):
    """Evaluates as LogEvaluationMetricHook, and stops when the metric `monitor` does not gain any more.

    monitor_info, batch_size, samples_in_train, samples_in_eval, evaluate_every_n_epochs, prefix, num_gpus: as there. min_delta: a change that is not larger is no gain. patience: evaluations without gain, after which training stops.
    mode: 'max', 'min' or 'auto': min for names with loss or err in them, else max.
    """

    @checked
    def __init__(self, monitor_info: "dict[str, Any]", monitor: Text("a name in monitor_info").or_none(), batch_size: _BATCH_SIZE,
                 samples_in_train: _SAMPLES, samples_in_eval: _SAMPLES, evaluate_every_n_epochs: _EPOCHS = 1, min_delta: _GAIN = 0,
                 patience: _FEW = 0, mode: _MODE = "auto", prefix: Text().or_none() = "", num_gpus: _DEVICES = None):
        self._stopping = (monitor or "", min_delta, patience, mode)
        super().__init__(monitor_info, batch_size, samples_in_train, samples_in_eval, evaluate_every_n_epochs, prefix,
                         num_gpus)

    def _make_native(self):
        return engine.EarlyStoppingHook(*self._evaluation, *self._stopping)


class PlateauLREarlyStoppingHook(EarlyStoppingHook):
    """As EarlyStoppingHook, but a plateau multiplies the learning rate; the last of max_plateaus stops training.

    monitor_info, batch_size, samples_in_train, samples_in_eval, evaluate_every_n_epochs, prefix, num_gpus: as
    LogEvaluationMetricHook. monitor, min_delta, mode: as EarlyStoppingHook. patience: evaluations without gain that make a
    plateau. lr_multiplier: of the learning rate at each plateau.
    """

    @checked
    def __init__(self, monitor_info: "dict[str, Any]", monitor: Text("a name in monitor_info").or_none(), batch_size: _BATCH_SIZE,
                 samples_in_train: _SAMPLES, samples_in_eval: _SAMPLES, evaluate_every_n_epochs: _EPOCHS = 1, min_delta: _GAIN = 0,
                 patience: _FEW = 0, mode: _MODE = "auto", prefix: Text().or_none() = "", num_gpus: _DEVICES = None,
                 lr_multiplier: Number(1e-30, 1e30) = 0.1, max_plateaus: Integer(1, 1_000_000) = 3):
        self._plateau = (lr_multiplier, max_plateaus)
        super().__init__(monitor_info, monitor, batch_size, samples_in_train, samples_in_eval, evaluate_every_n_epochs,
                         min_delta, patience, mode, prefix, num_gpus)

    def _make_native(self):
        return engine.PlateauLREarlyStoppingHook(*self._evaluation, *self._stopping, *self._plateau)
