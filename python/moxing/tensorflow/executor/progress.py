"""A progress bar of a run, as notebooks show them (tqdm), with the log's lines above it."""
import importlib.util
import sys

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import engine, tf

_shown = []  # the bar of the run under way


def in_notebook():
    """Whether a Jupyter kernel runs this: IPython in a terminal has the progress line of the engine."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def write(line):
    """A line of the log."""
    if _shown:
        _shown[-1].write(line, file=sys.stderr)
        return
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class _Unused:
    """The hook of the devices after the first: each device has the same number of hooks."""

    def after_create_session(self, session):
        pass

    def before_run(self, session):
        return [], []

    def after_run(self, values):
        return False

    def end(self, session):
        pass


class Progress(_Unused):
    """As hook_adapter.Adapter, for the engine."""

    def __init__(self, mode, limit):
        self._mode = mode
        self._limit = limit
        self._step = None
        self._bar = None

    def hook(self, tower):
        if tower == 0 and self._mode == "TRAIN":
            self._step = tf.train.get_global_step().value().name
        return engine.PythonHook(self if tower == 0 else _Unused(), False, False, False)

    def after_create_session(self, session):
        from tqdm.auto import tqdm
        done = int(session.run([self._step], [])[0]) if self._step else 0
        self._bar = tqdm(desc=self._mode, total=self._limit or None, initial=done, unit=" steps")
        _shown.append(self._bar)

    def after_run(self, values):
        self._bar.update()
        return False

    def close(self):
        if self._bar is not None:
            _shown.remove(self._bar)
            self._bar.close()


def wanted(progress, mode, limit):
    """The Progress of a run; None: it has none. `progress`: what run was given."""
    there = importlib.util.find_spec("tqdm") is not None
    if progress and not there:
        raise InvalidArgumentError("run: progress=True needs the package tqdm, which is not installed: pip install tqdm")
    if progress or progress is None and there and in_notebook():
        return Progress(mode, limit)
    return None
