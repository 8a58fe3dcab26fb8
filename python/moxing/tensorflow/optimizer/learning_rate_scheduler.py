"""Learning rates that change with the global step."""
from collections.abc import Sequence
from typing import Any

from moxing._arguments import Integer, Number, Text, checked, set_field
from moxing.tensorflow._fragments import import_fragment
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow._variables import resource_global_step

__all__ = ["linear_cosine_decay", "piecewise_lr", "polynomial_decay", "schedule_strategy"]


@checked
def piecewise_lr(lr_strategy: Text("a text such as '10:0.1,20:0.01'"), num_samples: Integer(1, engine.MAX_SAMPLES),
                 global_batch_size: Integer(1, engine.MAX_BATCH_SIZE * engine.MAX_DEVICES)) -> "tf.Tensor":
    """The rate at the current global step, a scalar tensor; to be called in optimizer_fn or model_fn.

    lr_strategy: "5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08", entries END_EPOCH:VALUE; `a->b` is linear, `a=>b` exponential,
    `a~>b` half a cosine. num_samples: of an epoch, of all workers. global_batch_size: samples of a step, of all workers and devices.

    Raises InvalidArgumentError that shows where the text is wrong.
    """
    return import_fragment(engine.piecewise_lr(lr_strategy, num_samples, global_batch_size), "piecewise_lr")[0][1]


@checked
def schedule_strategy(schedule: Text("constant, cosine, exponential, linear or piecewise"), learning_rate: Number(0, 1e30),
                      num_epochs: Number(0, 1e12) = 0, warmup_epochs: Number(0, 1e12) = 0, end_learning_rate: Number(0, 1e30) = None,
                      decay_epochs: "Sequence[float]" = (), decay_factor: Number(0, 1) = 0.1) -> str:
    """The usual schedules, as a text for piecewise_lr: schedule_strategy("cosine", 0.1, 90, 5) is "5:0->0.1,90:0.1~>0".

    learning_rate: the highest, to which the rate rises in a line from 0 over warmup_epochs (Goyal et al. 2017). num_epochs: of
    the whole training; constant needs none. end_learning_rate: of cosine (Loshchilov and Hutter 2016), linear and exponential;
    None: 0, of exponential a hundredth of learning_rate. decay_epochs, decay_factor: of piecewise (He et al. 2016): where the
    rate is multiplied by the factor, by default at a third, two thirds and eight ninths. Raises InvalidArgumentError for another
    schedule, which lists them, and for numbers that do not fit together.
    """
    options = engine.ScheduleOptions()
    for key, value in (("schedule", schedule), ("learning_rate", learning_rate), ("num_epochs", num_epochs),
                       ("warmup_epochs", warmup_epochs), ("end_learning_rate", -1.0 if end_learning_rate is None else end_learning_rate),
                       ("decay_epochs", list(decay_epochs)), ("decay_factor", decay_factor)):
        set_field(options, key, value, "schedule_strategy")
    return engine.schedule_strategy(options)


_RATE = Number(0, 1e30)
_STEPS = Integer(1)
_PART = Number(0, 1e18)


def _at(global_step, fragment, name):
    step = resource_global_step() if global_step is None else global_step
    return import_fragment(fragment, name, [tf.cast(tf.convert_to_tensor(step), tf.int64)])[0][1]


@checked
def polynomial_decay(max_lr: _RATE, min_lr: _RATE, global_step: "Any" = None, max_step: _STEPS = 1, warmup: _PART = 0,
                     decay_end: _PART = 1, power: Number(0, 1e6) = 1) -> "tf.Tensor":
    """The rate at global_step (None: the run's): in a line from min_lr to max_lr over `warmup`, then down to min_lr at decay_end
    as a polynomial of that power, and min_lr after. warmup below 1 and decay_end up to 1 are parts of max_step."""
    return _at(global_step, engine.polynomial_decay(max_lr, min_lr, max_step, warmup, decay_end, power), "polynomial_decay")


@checked
def linear_cosine_decay(max_lr: _RATE, min_lr: _RATE, global_step: "Any" = None, max_step: _STEPS = 1, warmup: _PART = 0,
                        decay_end: _PART = 1) -> "tf.Tensor":
    """As polynomial_decay (max_lr, min_lr, global_step, max_step, warmup, decay_end), but half a cosine down. TensorFlow's schedule of that name is tf.train.linear_cosine_decay."""
    steps = warmup if warmup >= 1 else warmup * max_step
    end = int(decay_end if decay_end > 1 else decay_end * max_step)
    return _at(global_step, engine.cosine_decay(max_lr, min_lr, end, steps, min_lr), "linear_cosine_decay")
