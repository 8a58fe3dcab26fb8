"""mox.run: train, evaluate or predict with the user's input_fn and model_fn."""
import dataclasses
import signal
import sys

from moxing._arguments import Integer, Number, PathText, Switch, Text, checked
from moxing.errors import Error, InvalidArgumentError, UnsupportedError
from moxing.tensorflow._graph_state import user_seed
from moxing.tensorflow._runtime import engine, new_array, tf
from moxing.tensorflow.executor import user_functions
from moxing.tensorflow.executor.graph_builder import GraphBuilder
from moxing.tensorflow.executor.keys import ExportKeys, ModeKeys

_WARNING, _ERROR = 2, 3


@dataclasses.dataclass
class RunResult:
    steps: int             # run by this call
    global_step: int       # of the model, at the end
    metrics: dict          # EVAL: the mean of log_info over the run; TRAIN: what was logged last
    checkpoint: str        # prefix that was saved last (TRAIN) or loaded
    export_dir: str        # of the exported model, "" for none


@dataclasses.dataclass
class _Functions:
    input_fn: object
    model_fn: object
    optimizer_fn: object
    output_fn: object
    fetch_strategy_fn: object


def _write_log_line(level, line):
    prefix = {_WARNING: "WARNING: ", _ERROR: "ERROR: "}.get(level, "")
    sys.stderr.write(prefix + line + "\n")
    sys.stderr.flush()


def _check_functions(functions, mode):
    given = {name: user_functions.what_is(function) for name, function in vars(functions).items() if name != "optimizer_fn"}
    several = functions.optimizer_fn if isinstance(functions.optimizer_fn, (list, tuple)) else [functions.optimizer_fn]
    engine.check_functions(given, [user_functions.what_is(function) for function in several], mode)


def _inter_mode(value, mode):
    if value is None:
        return None
    inter_mode = engine.parse_mode(value)
    if inter_mode == ModeKeys.EXPORT:
        raise InvalidArgumentError("inter_mode is EXPORT; expected TRAIN, EVAL or PREDICT")
    if mode != ModeKeys.TRAIN:
        raise InvalidArgumentError(f"inter_mode is for run_mode TRAIN; run_mode is {mode}: leave it out")
    return inter_mode


def _check_supported():
    def reject(given, text):
        if given:
            raise UnsupportedError(f"{text} is not offered by this version; leave it out")

    engine.check_task_index()
    hosts = [host for host in engine.get_flag("worker_hosts").split(",") if host]
    reject(len(hosts) > 1 or engine.get_flag("ps_hosts") or engine.get_flag("job_name") == "ps",
           "a cluster (worker_hosts, ps_hosts, job_name)")


def _export_model(value):
    if value is None or value is False:
        return False
    if value != ExportKeys.TF_SERVING:
        raise InvalidArgumentError(f"export_model is {value!r}; there is mox.ExportKeys.TF_SERVING")
    return True


def _config(mode, batch_size, numbers, texts, export_model):
    config = engine.RunConfig(mode)
    for name, value in {"batch_size": batch_size, **numbers, **texts}.items():
        if value is not None:
            setattr(config, name, value)
    config.export_model = _export_model(export_model)
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


_MODE = Text("TRAIN, EVAL or PREDICT")
_FOLDER = PathText()
_STEPS = Integer(0, engine.MAX_STEPS).or_none()


@checked
def run(input_fn=None, output_fn=None, model_fn=None, optimizer_fn=None, run_mode: _MODE = "invalid", inter_mode: _MODE = None,
        batch_size: Integer(1, engine.MAX_BATCH_SIZE) = None, auto_batch: Switch() = True, log_dir: _FOLDER = None,
        max_number_of_steps: _STEPS = 0, checkpoint_path: _FOLDER = None, log_every_n_steps: _STEPS = 10,
        output_every_n_steps: _STEPS = 0, save_summary_steps: _STEPS = 100, save_model_secs: Number(-1, engine.MAX_SECONDS) = None,
        export_model=False, fetch_strategy_fn=None, save_model_steps: Integer(-1, engine.MAX_STEPS) = None,
        keep_best: Text("a name in log_info") = None, keep_best_mode: Text("auto, max or min") = "auto",
        save_histogram_steps: _STEPS = 0):
    """Runs to the end and returns a RunResult.

    Raises InvalidArgumentError (a ValueError) before anything starts when an argument, or what a function returned, does
    not fit; RunError when the run fails later. What a user's function raises comes out as it is. SIGINT and SIGTERM end
    the run after a checkpoint.

    fetch_strategy_fn(step, planned) is called before each step with its number in this run, and the set of what the
    …_n_steps arguments planned for it: 'log_info', 'summaries', 'output_info'. It returns the names of what the step
    fetches, or None for what was planned.
    """
    functions = _Functions(input_fn, model_fn, optimizer_fn, output_fn, fetch_strategy_fn)
    mode = engine.parse_mode(run_mode)
    engine.set_log_sink(_write_log_line)
    try:
        _check_functions(functions, mode)
        _check_supported()
        inter_mode = _inter_mode(inter_mode, mode)
        config = _config(
            mode, batch_size,
            dict(max_number_of_steps=max_number_of_steps, log_every_n_steps=log_every_n_steps,
                 output_every_n_steps=output_every_n_steps, save_summary_steps=save_summary_steps,
                 save_model_secs=save_model_secs, save_model_steps=save_model_steps,
                 save_histogram_steps=save_histogram_steps),
            dict(log_dir=log_dir, checkpoint_path=checkpoint_path, keep_best=keep_best, keep_best_mode=keep_best_mode),
            export_model)
        config.check(output_fn is not None)
        return _run(functions, config, mode, inter_mode, auto_batch)
    finally:
        engine.set_log_sink(None)


def _run(functions, config, mode, inter_mode, auto_batch):
    errors = user_functions.PythonErrors()
    builder = GraphBuilder(functions, config, mode, inter_mode, auto_batch, user_seed(), errors)
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
    if result.interrupted:
        _stop_as_asked()
    return RunResult(result.steps, result.global_step, dict(result.metrics), result.checkpoint, result.export_dir)
