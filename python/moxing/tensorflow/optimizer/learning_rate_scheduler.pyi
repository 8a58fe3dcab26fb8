"""Made by scripts/stubs.py of what `import moxing.tensorflow.optimizer.learning_rate_scheduler` gives; not to be changed by hand."""
from collections.abc import Sequence
from typing import Any
import tensorflow.compat.v1 as tf

def linear_cosine_decay(
    max_lr: float,
    min_lr: float,
    global_step: Any = None,
    max_step: int = 1,
    warmup: float = 0,
    decay_end: float = 1,
) -> tf.Tensor:
    """As polynomial_decay (max_lr, min_lr, global_step, max_step, warmup, decay_end), but half a cosine down. TensorFlow's schedule of that name is tf.train.linear_cosine_decay."""

def piecewise_lr(lr_strategy: str, num_samples: int, global_batch_size: int) -> tf.Tensor:
    """The rate at the current global step, a scalar tensor; to be called in optimizer_fn or model_fn.

    lr_strategy: "5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08", entries END_EPOCH:VALUE; `a->b` is linear, `a=>b` exponential,
    `a~>b` half a cosine. num_samples: of an epoch, of all workers. global_batch_size: samples of a step, of all workers and devices.

    Raises InvalidArgumentError that shows where the text is wrong.
    """

def polynomial_decay(
    max_lr: float,
    min_lr: float,
    global_step: Any = None,
    max_step: int = 1,
    warmup: float = 0,
    decay_end: float = 1,
    power: float = 1,
) -> tf.Tensor:
    """The rate at global_step (None: the run's): in a line from min_lr to max_lr over `warmup`, then down to min_lr at decay_end
    as a polynomial of that power, and min_lr after. warmup below 1 and decay_end up to 1 are parts of max_step.
    """

def schedule_strategy(
    schedule: str,
    learning_rate: float,
    num_epochs: float = 0,
    warmup_epochs: float = 0,
    end_learning_rate: float | None = None,
    decay_epochs: Sequence[float] = (),
    decay_factor: float = 0.1,
) -> str:
    """The usual schedules, as a text for piecewise_lr: schedule_strategy("cosine", 0.1, 90, 5) is "5:0->0.1,90:0.1~>0".

    learning_rate: the highest, to which the rate rises in a line from 0 over warmup_epochs (Goyal et al. 2017). num_epochs: of
    the whole training; constant needs none. end_learning_rate: of cosine (Loshchilov and Hutter 2016), linear and exponential;
    None: 0, of exponential a hundredth of learning_rate. decay_epochs, decay_factor: of piecewise (He et al. 2016): where the
    rate is multiplied by the factor, by default at a third, two thirds and eight ninths. Raises InvalidArgumentError for another
    schedule, which lists them, and for numbers that do not fit together.
    """
