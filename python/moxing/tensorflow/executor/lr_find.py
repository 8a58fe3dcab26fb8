"""mox.lr_find: which learning rate a training should have."""
import dataclasses
from collections.abc import Callable
from typing import Any

from moxing._arguments import Integer, Number, checked
from moxing.errors import ArgumentTypeError, InvalidArgumentError, RunError
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.executor.run import run
from moxing.tensorflow.executor.specs import ModelSpec
from moxing.tensorflow.optimizer import learning_rate_scheduler

_LOSS = "lr_find_loss"
_DIVERGED = 4  # times the least smoothed loss
_LEFT_ASIDE = ("log_dir", "run_mode", "max_number_of_steps", "optimizer_fn", "output_fn", "output_every_n_steps", "export_model",
               "keep_best", "fetch_strategy_fn", "inter_mode", "model_ema", "use_ema")


class _Diverged(Exception):
    """Ends the test before its last step."""


@dataclasses.dataclass
class LrFindPoint:
    """A step of the test."""

    learning_rate: float
    loss: float
    smoothed: float


@dataclasses.dataclass
class LrFindResult:
    """What lr_find found."""

    points: list[LrFindPoint]  # one a step
    suggestion: float | None   # None: the loss fell nowhere


def _with_loss(model_fn):
    def with_loss(inputs, mode):
        spec = model_fn(inputs, mode)
        if isinstance(spec.loss, (list, tuple)) and len(spec.loss) != 1:
            raise InvalidArgumentError(f"lr_find takes a model of one loss, this one has {len(spec.loss)}")
        loss = spec.loss[0] if isinstance(spec.loss, (list, tuple)) else spec.loss
        return ModelSpec(loss=loss, var_scopes=spec.var_scopes, log_info=spec.log_info,
                         output_info={_LOSS: tf.cast(loss, tf.float64)})

    return with_loss


@checked
def lr_find(make_optimizer: "Callable[[Callable[[], Any]], Any]", lowest: Number(1e-30, 1e30) = 1e-6, highest: Number(1e-30, 1e30) = 10.0,
            steps: Integer(10, 10000) = 100, **options: "Any") -> LrFindResult:
    """The learning rate range test (Smith 2015): trains with rates that rise from `lowest` to `highest` by the same factor a step,
    until the smoothed loss is four times its least. Nothing is saved.

    make_optimizer(rate): what returns the training's optimizer_fn, e.g. lambda rate: mox.get_optimizer_fn("momentum", rate); the rate
    is a function. steps: of the test, at most. options: those of mox.run, but what says where it is saved and how long it is. Returns the points (learning_rate,
    loss, smoothed) and a suggestion, the rate in the middle of where the smoothed loss falls longest.

    Raises what mox.run raises, but for a loss that is not finite, which ends the test.
    """
    for name in _LEFT_ASIDE:
        if options.get(name) is not None:
            raise InvalidArgumentError(f"lr_find takes no {name}: it trains a few steps and saves nothing")
    if not callable(make_optimizer):
        raise ArgumentTypeError(f"lr_find: make_optimizer is {make_optimizer!r}, expected a function of the rate that returns optimizer_fn")
    if not lowest < highest:
        raise InvalidArgumentError(f"lr_find: lowest is {lowest:g} and highest {highest:g}, expected a higher one")
    rise = f"1:{lowest!r}=>{highest!r}"
    rates, losses = [], []

    def output_fn(outputs):
        rates.append(lowest * (highest / lowest)**(len(rates) / steps))
        losses.append(sum(float(output[_LOSS]) for output in outputs) / len(outputs))
        smoothed = [point[2] for point in engine.judge_learning_rates(rates, losses)[0]]
        if smoothed and smoothed[-1] > _DIVERGED * abs(min(smoothed)):
            raise _Diverged

    options["model_fn"] = _with_loss(options["model_fn"]) if options.get("model_fn") else None
    try:
        run(run_mode="TRAIN", max_number_of_steps=steps, output_every_n_steps=1, output_fn=output_fn,
            optimizer_fn=make_optimizer(lambda: learning_rate_scheduler.piecewise_lr(rise, steps, 1)),
            **{"log_every_n_steps": 0, "save_summary_steps": 0, **options})
    except _Diverged:
        pass
    except RunError as error:
        if not str(error).startswith("the loss is") or not rates:
            raise
    points, suggestion = engine.judge_learning_rates(rates, losses)
    return LrFindResult([LrFindPoint(*point) for point in points], suggestion or None)
