"""mox.run: train, evaluate or predict with the user's input_fn and model_fn."""
import dataclasses
import signal
import sys

from moxing._arguments import Kind, Switch
from moxing.errors import Error, InvalidArgumentError
from moxing.tensorflow._graph_state import user_seed
from moxing.tensorflow._options import other, takes
from moxing.tensorflow._runtime import engine, new_array
from moxing.tensorflow.executor import progress, user_functions
from moxing.tensorflow.executor.graph_builder import GraphBuilder
from moxing.tensorflow.executor.keys import ExportKeys

_WARNING, _ERROR = 2, 3


@dataclasses.dataclass(repr=False)
class RunResult:
    """What run returns."""

    steps: int             # run by this call
    global_step: int       # of the model, at the end
    metrics: dict[str, float]  # EVAL: the mean of log_info over the run; TRAIN: what was logged last
    checkpoint: str        # prefix that was saved last (TRAIN) or loaded
    export_dir: str        # of the exported model, "" for none
    validation: dict[str, float] = dataclasses.field(default_factory=dict)  # TRAIN with eval_every_n_…: what the last validation gave
    best_validation: tuple[str, float, int] | None = None  # likewise: (metric, value, global step) of the best one, with the runs before

    def __repr__(self):
        """What there is, metrics with four digits."""
        metrics, validation = (", ".join(f"'{name}': {value:.4g}" for name, value in values.items())
                               for values in (self.metrics, self.validation))
        parts = [f"steps={self.steps}", f"global_step={self.global_step}", f"metrics={{{metrics}}}" if metrics else "",
                 f"checkpoint={self.checkpoint!r}" if self.checkpoint else "",
                 f"export_dir={self.export_dir!r}" if self.export_dir else "",
                 f"validation={{{validation}}}" if validation else "",
                 f"best_validation={self.best_validation!r}" if self.best_validation else ""]
        return f"RunResult({', '.join(filter(None, parts))})"


@dataclasses.dataclass
class _Functions:
    input_fn: object
    model_fn: object
    optimizer_fn: object
    output_fn: object
    fetch_strategy_fn: object


def _write_log_line(level, line):
    prefix = {_WARNING: "WARNING: ", _ERROR: "ERROR: "}.get(level, "")
    progress.write(prefix + line)


def _check_functions(functions, mode):
    given = {name: user_functions.what_is(function) for name, function in vars(functions).items() if name != "optimizer_fn"}
    several = functions.optimizer_fn if isinstance(functions.optimizer_fn, (list, tuple)) else [functions.optimizer_fn]
    engine.check_functions(given, [user_functions.what_is(function) for function in several], mode)


class _ExportModel(Kind):
    """The manual also writes export_model=False."""

    hint = "Literal['TF_SERVING', False]"

    def __init__(self):
        super().__init__("TF_SERVING or False; there is mox.ExportKeys.TF_SERVING alone")

    def take(self, value):
        if value is False:
            return value
        if value != ExportKeys.TF_SERVING:
            raise ValueError
        return ExportKeys.TF_SERVING


def _config(options):
    """The engine's options: all but the functions, which Python calls."""
    config = engine.RunConfig()
    for option in engine.run_options:
        value = options[option["name"]]
        if value is not None and option["kind"] != "function":
            setattr(config, option["name"], value)
    return config


_FETCHES = ("log_info", "summaries", "output_info")


def _fetch_strategy(function):
    """What the engine calls before each step: numbers of the step in, booleans out."""
    if function is None:
        return None

    def decide(step, *planned):
        names = {name for name, wanted in zip(_FETCHES, planned) if wanted}
        chosen = user_functions.call("fetch_strategy_fn", function, step, names)
        if chosen is None:
            chosen = names
        if isinstance(chosen, str) or not set(chosen) <= set(_FETCHES):
            raise InvalidArgumentError(f"fetch_strategy_fn returned {chosen!r}, expected names out of "
                                       f"{', '.join(_FETCHES)}, or None for what was planned")
        return tuple(name in chosen for name in _FETCHES)

    return decide


def _stop_as_asked():
    """The engine has saved and stopped: what the signal asked for happens now."""
    if engine.received_signal() == signal.SIGTERM:
        sys.exit(128 + signal.SIGTERM)
    raise KeyboardInterrupt


@takes(engine.run_options, kinds={"export_model": _ExportModel().or_none()}, defaults={"run_mode": "invalid", "export_model": False},
       last=[other("progress", None, Switch())])
def run(**options) -> RunResult:
    """Runs to the end and returns a RunResult.

    Raises InvalidArgumentError (a ValueError) before anything starts when an argument, or what a function returned, does
    not fit; RunError when the run fails later. What a user's function raises comes out as it is. SIGINT and SIGTERM end
    the run after a checkpoint.

    fetch_strategy_fn(step, planned) is called before each step with its number in this run, and the set of what the
    …_n_steps arguments planned for it: 'log_info', 'summaries', 'output_info'. It returns the names of what the step
    fetches, or None for what was planned.

    progress: a progress bar (tqdm); by default in notebooks that have it.
    """
    bar = options.pop("progress")
    functions = _Functions(**{field.name: options[field.name] for field in dataclasses.fields(_Functions)})
    options["export_model"] = options["export_model"] or None
    config = _config(options)
    engine.set_log_sink(_write_log_line)
    folders = None
    try:
        _check_functions(functions, config.run_mode)
        folders = config.check(functions.output_fn is not None)
        if config.is_ps:
            # A training that it has served ends the process.
            sys.stdout.flush()
            return _result(engine.run_as_ps(config))
        return _run(functions, config, progress.wanted(bar, config.run_mode, config.max_number_of_steps))
    finally:
        if folders is not None:
            folders.remove_empty()
        engine.set_log_sink(None)


def _run(functions, config, bar):
    errors = user_functions.PythonErrors()
    seed = config.random_seed or user_seed()
    builder = GraphBuilder(functions, config, seed, errors, bar)
    built = builder.build()
    export = builder.build_export() if config.export_model else None
    output_fn = functions.output_fn
    deliver = None if output_fn is None else lambda outputs: user_functions.call("output_fn", output_fn, outputs)
    engine.set_new_array(new_array)
    try:
        result = engine.run_built_graph(built, export, config, deliver, new_array,
                                        _fetch_strategy(functions.fetch_strategy_fn))
    except Error as e:
        errors.raise_original(e)
        raise
    finally:
        builder.hooks.close()
        if bar is not None:
            bar.close()
    if result.interrupted and engine.received_signal():
        _stop_as_asked()
    return _result(result)


def _result(result):
    return RunResult(result.steps, result.global_step, dict(result.metrics), result.checkpoint, result.export_dir,
                     dict(result.validation), result.best_validation)
