"""Search of hyper-parameters: mox.auto.search tries values in short trainings, mox.auto.run trains with what it found.

model_fn and optimizer_fn get the values as the argument param_spec: `def optimizer_fn(param_spec)`, or `**kwargs`.
"""
import functools
import inspect
import tempfile
from collections.abc import Callable
from typing import Any

from moxing._arguments import shown
from moxing.errors import ArgumentTypeError, Error, InvalidArgumentError, RunError
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.executor import ModeKeys, RunResult, run as run_once

_RATES = 5  # learning rates that are tried


class ModelSize:
    """For scripts that give model_size to search, which it makes no difference to."""

    LARGE = "LARGE"
    SMALL = "SMALL"


class ParamSpec:
    """Hyper-parameters by name: ParamSpec(momentum=0.9).momentum. As param_list_spec, each is a list of what to try.

    values: a name and its value each.
    """

    def __init__(self, **values: "Any"):
        vars(self).update(values)

    def changed(self, **values: "Any") -> "ParamSpec":
        """The same with other values for these names."""
        return ParamSpec(**{**vars(self), **values})

    def __eq__(self, other):
        return isinstance(other, ParamSpec) and vars(self) == vars(other)

    __hash__ = None

    def __repr__(self):
        return "ParamSpec(" + ", ".join(f"{name}={value!r}" for name, value in vars(self).items()) + ")"


def _with(function, param_spec):
    """The function with param_spec, where it takes one."""
    if not callable(function) or param_spec is None:
        return function
    parameters = inspect.signature(function).parameters.values()
    takes = any(p.name == "param_spec" or p.kind is p.VAR_KEYWORD for p in parameters)
    return functools.partial(function, param_spec=param_spec) if takes else function


def run(*args: "Any", param_spec: "ParamSpec | None" = None, **kwargs: "Any") -> RunResult:
    """mox.run, with param_spec for model_fn and optimizer_fn. args and kwargs are those of mox.run; so are the errors."""
    names = list(inspect.signature(run_once).parameters)
    kwargs.update(zip(names, args))
    for name in ("model_fn", "optimizer_fn"):
        if isinstance(kwargs.get(name), (list, tuple)):
            kwargs[name] = [_with(function, param_spec) for function in kwargs[name]]
        elif name in kwargs:
            kwargs[name] = _with(kwargs[name], param_spec)
    return run_once(**kwargs)


def _spec(name, value):
    if not isinstance(value, ParamSpec):
        raise ArgumentTypeError(f"search: {name} is {shown(value)}, expected a mox.auto.ParamSpec")
    return value


def _rates(first, last, middle):
    """Learning rates in equal ratios."""
    first, last = first or middle / 100, last or middle * 10
    if not 0 < first <= last:
        raise InvalidArgumentError(f"search: init_learning_rate is {first} and end_learning_rate {last}, expected two numbers above 0 "
                                   "in rising order")
    return [first * (last / first) ** (i / (_RATES - 1)) for i in range(_RATES)]


def _candidates(param_spec, param_list_spec, search_learning_rate, first, last):
    """[(name, values)], in the order of the search: the learning rate first, the others depend on it."""
    lists = dict(vars(param_list_spec))
    given = lists.pop("learning_rate", None)
    found = []
    if search_learning_rate or given:
        found.append(("learning_rate", given or _rates(first, last, getattr(param_spec, "learning_rate", 0.1))))
    for name, values in [*found, *lists.items()]:
        if not isinstance(values, (list, tuple)) or not values:
            raise ArgumentTypeError(f"search: param_list_spec.{name} is {shown(values)}, expected a list of values to try")
    return found + list(lists.items())


class _Trial:
    """A short training and its evaluation, for a ParamSpec."""

    def __init__(self, options, total_steps, evaluation_total_steps, metric, larger_is_better):
        self._options = options
        self._steps = (total_steps, evaluation_total_steps)
        self._metric = metric
        self._sign = 1 if larger_is_better else -1
        self._known = []  # (ParamSpec, score)

    def score(self, param_spec):
        for known, score in self._known:
            if known == param_spec:
                return score
        score = self._run(param_spec)
        engine.log_info(f"search: {param_spec}: {self._metric} {abs(score):.4g}" if score > -float("inf")
                        else f"search: {param_spec}: the training diverged")
        self._known.append((param_spec, score))
        return score

    def _run(self, param_spec):
        with tempfile.TemporaryDirectory(prefix="mox_search_") as folder:
            options = {**self._options, "param_spec": param_spec, "log_every_n_steps": 0}
            try:
                run(**options, run_mode=ModeKeys.TRAIN, log_dir=folder, max_number_of_steps=self._steps[0], save_summary_steps=0)
            except RunError:  # the loss is not finite
                return -float("inf")
            options.pop("optimizer_fn")
            metrics = run(**{**options, "checkpoint_path": folder}, run_mode=ModeKeys.EVAL, max_number_of_steps=self._steps[1]).metrics
        if self._metric not in metrics:
            raise InvalidArgumentError(f"search: log_info of model_fn has no '{self._metric}', by which trainings are compared; it has: "
                                       f"{', '.join(metrics)}; see by_acc, acc_name and loss_name")
        value = metrics[self._metric]
        return self._sign * value if value == value else -float("inf")


def search(input_fn: "Callable[..., Any]", model_fn: "Callable[..., Any]", optimizer_fn: "Callable[..., Any]",
           batch_size: "int | None" = None, auto_batch: bool = True, total_steps: int = 100, evaluation_total_steps: int = 10,
           model_size: "str | None" = None, by_acc: bool = True, checkpoint_path: "str | None" = None, select_by_eval: bool = False,
           weight_decay_diff_thres: float = 0.05, max_thres: float = 10, window: int = 50, warmup_steps: int = 0,
           warmup_lr: float = 0.01, evaluate_every_n_steps: int = 1, log_every_n_steps: int = 10,
           init_learning_rate: "float | None" = None, end_learning_rate: "float | None" = None, acc_name: str = "accuracy",
           loss_name: str = "loss", search_learning_rate: bool = True, param_spec: "ParamSpec | None" = None,
           param_list_spec: "ParamSpec | None" = None) -> ParamSpec:
    """Returns param_spec with the values of param_list_spec that did best, one parameter after the other.

    Each value is trained for total_steps from the same start and evaluated for evaluation_total_steps, by acc_name (by_acc) or
    loss_name in log_info. The learning rate is searched first: from init_learning_rate to end_learning_rate, by default from a
    hundredth to ten times param_spec's; search_learning_rate False leaves it as it is. input_fn, model_fn, optimizer_fn, batch_size,
    auto_batch, checkpoint_path: as in mox.run; the functions may take param_spec. How the original shortens its trials is of no effect: model_size, select_by_eval,
    weight_decay_diff_thres, max_thres, window, warmup_steps, warmup_lr, evaluate_every_n_steps, log_every_n_steps.

    Raises ArgumentTypeError when param_spec or param_list_spec is no ParamSpec, InvalidArgumentError when log_info lacks the metric,
    Error when every training with a parameter's values diverged.
    """
    best = _spec("param_spec", param_spec if param_spec is not None else ParamSpec())
    lists = _spec("param_list_spec", param_list_spec if param_list_spec is not None else ParamSpec())
    options = dict(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, batch_size=batch_size, auto_batch=auto_batch,
                   checkpoint_path=checkpoint_path)
    trial = _Trial(options, total_steps, evaluation_total_steps, acc_name if by_acc else loss_name, by_acc)
    for name, values in _candidates(best, lists, search_learning_rate, init_learning_rate, end_learning_rate):
        scores = [(trial.score(best.changed(**{name: value})), value) for value in values]
        score, value = max(scores, key=lambda pair: pair[0])
        if score == -float("inf"):
            raise Error(f"search: every training diverged, with {name} of {', '.join(map(str, values))}; try smaller learning rates")
        best = best.changed(**{name: value})
    return best


__all__ = ["ModelSize", "ParamSpec", "run", "search"]
