"""TensorFlow and the C++ engine on top of the very same libraries, loaded in this order."""
import os
import sys

if "tensorflow" not in sys.modules:
    # Start-up chatter of the C++ side; errors are still shown, and a level set by hand wins.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

try:
    import tensorflow.compat.v1 as tf
except ImportError as e:
    raise ImportError("moxing.tensorflow needs TensorFlow: pip install tensorflow-cpu==2.21.0") from e

try:
    from moxing import _engine as engine
except ImportError as e:
    raise ImportError(
        f"moxing's engine does not load with TensorFlow {tf.__version__} ({e}); it is built for one version: "
        "install the TensorFlow that it was built with, or build moxing again with this one (pip install .)") from e

__all__ = ["engine", "tf"]
