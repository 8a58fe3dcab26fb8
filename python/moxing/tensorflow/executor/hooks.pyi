"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.hooks` gives; not to be changed by hand."""
from typing import Any
import tensorflow.compat.v1 as tf

class AggregativeSessionRunHook(tf.train.SessionRunHook):
    """A tf.train.SessionRunHook that says how it works on several devices and in inter_mode."""
    def run_inter_mode(self) -> bool:
        """True: the hook belongs to the graph of inter_mode, and the one made there is used."""
    def support_aggregation(self) -> bool:
        """model_fn makes a hook for each device. True: they act as one, on the mean of what they fetch."""
    def support_sync_workers(self) -> bool:
        """Whether the hook may run where several workers train in step. In one process it makes no difference."""

class NativeHook(AggregativeSessionRunHook):
    """A hook that is written in C++: `native` is it. Its methods are not called from Python."""

class FeedSessionRunHook(NativeHook):
    """Feeds placeholders of model_fn in every step, and in the evaluation steps of the graph that it was made for.

    feed_dict: placeholder -> value, taken as it is now. Raises InvalidArgumentError for a value of another shape or type.
    """
    def __init__(self, feed_dict: dict[Any, Any]) -> None: ...

class LogEvaluationMetricHook(NativeHook):
    """Evaluates in inter_mode after every n-th epoch, and logs `[VALIDATION METRICS] step: 31 accuracy: 0.873`.

    monitor_info: name -> scalar tensor. batch_size: of a device. samples_in_train, samples_in_eval: of an epoch, of one
    evaluation. evaluate_every_n_epochs: n. prefix: of the names in the log. num_gpus: devices that share an epoch; None: those of
    the run.
    """
    def __init__(
        self,
        monitor_info: dict[str, Any],
        batch_size: int,
        samples_in_train: int,
        samples_in_eval: int,
        evaluate_every_n_epochs: int = 1,
        prefix: str | None = '',
        num_gpus: int | None = None,
    ) -> None: ...
    def run_inter_mode(self) -> bool:
        """True."""
    def support_aggregation(self) -> bool:
        """True."""
    def support_sync_workers(self) -> bool:
        """True."""

class EarlyStoppingHook(LogEvaluationMetricHook):
    """Evaluates as LogEvaluationMetricHook, and stops when the metric `monitor` does not gain any more.

    monitor_info, batch_size, samples_in_train, samples_in_eval, evaluate_every_n_epochs, prefix, num_gpus: as there. min_delta: a change that is not larger is no gain. patience: evaluations without gain, after which training stops.
    mode: 'max', 'min' or 'auto': min for names with loss or err in them, else max.
    """
    def __init__(
        self,
        monitor_info: dict[str, Any],
        monitor: str | None,
        batch_size: int,
        samples_in_train: int,
        samples_in_eval: int,
        evaluate_every_n_epochs: int = 1,
        min_delta: float = 0,
        patience: int = 0,
        mode: str = 'auto',
        prefix: str | None = '',
        num_gpus: int | None = None,
    ) -> None: ...

class PlateauLREarlyStoppingHook(EarlyStoppingHook):
    """As EarlyStoppingHook, but a plateau multiplies the learning rate; the last of max_plateaus stops training.

    monitor_info, batch_size, samples_in_train, samples_in_eval, evaluate_every_n_epochs, prefix, num_gpus: as
    LogEvaluationMetricHook. monitor, min_delta, mode: as EarlyStoppingHook. patience: evaluations without gain that make a
    plateau. lr_multiplier: of the learning rate at each plateau.
    """
    def __init__(
        self,
        monitor_info: dict[str, Any],
        monitor: str | None,
        batch_size: int,
        samples_in_train: int,
        samples_in_eval: int,
        evaluate_every_n_epochs: int = 1,
        min_delta: float = 0,
        patience: int = 0,
        mode: str = 'auto',
        prefix: str | None = '',
        num_gpus: int | None = None,
        lr_multiplier: float = 0.1,
        max_plateaus: int = 3,
    ) -> None: ...
