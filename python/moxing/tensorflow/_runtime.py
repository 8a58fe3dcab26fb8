"""TensorFlow and the C++ engine on top of the very same libraries, loaded in this order."""
import contextlib
import os
import sys
import tempfile

from moxing import _file
from moxing._arguments import plain


def _is_note(line):
    return line.startswith((b"I0000 ", b"WARNING: All log messages before absl::", b"To enable the following instructions:"))


@contextlib.contextmanager
def _without_notes():
    """Keeps TensorFlow's start-up notes from the user: its libraries write them before any log level counts.

    Warnings and errors still come out, and with TF_CPP_MIN_LOG_LEVEL=0 everything does.
    """
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    with tempfile.TemporaryFile() as held_back:
        try:
            standard_error = os.dup(2)
        except OSError:  # closed
            yield
            return
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
            held_back.seek(0)
            for line in held_back:
                if not _is_note(line):
                    os.write(2, line)


def _release(version):
    return version.split(".")[:2]


_WANTED = _file.tensorflow_version()
_ADVICE = f"pip install tensorflow-cpu=={_WANTED} (for GPUs tensorflow[and-cuda]=={_WANTED}) brings the one that fits"

with _without_notes():
    try:
        import numpy as np
        import tensorflow.compat.v1 as tf
    except ImportError as e:
        raise ImportError(f"moxing.tensorflow needs TensorFlow {'.'.join(_release(_WANTED))}: {e}; {_ADVICE}") from e

if _release(tf.__version__) != _release(_WANTED):
    raise ImportError(f"moxing {_file.version()} is built for TensorFlow {_WANTED}, found {tf.__version__} in "
                      f"{os.path.dirname(sys.modules['tensorflow'].__file__)}; {_ADVICE}")  # its __path__ begins with Keras

try:
    from moxing import _engine as engine
except ImportError as e:
    raise ImportError(f"moxing's engine does not load with TensorFlow {tf.__version__}: {e}; it is built for {_WANTED}: {_ADVICE}, "
                      "or build moxing against this one (pip install --no-build-isolation . in a clone)") from e

engine.load_plugins_of_environment()


@plain.register(tf.Tensor)
def _(value):
    """A constant of a graph is its value; a tensor that is computed stays one, which no argument takes."""
    constant = tf.get_static_value(value)
    return value if constant is None else constant.item() if constant.ndim == 0 else constant


def new_array(shape, dtype):
    dtype = tf.as_dtype(dtype)
    return np.empty(shape, object if dtype == tf.string else dtype.as_numpy_dtype)


__all__ = ["engine", "new_array", "tf"]
