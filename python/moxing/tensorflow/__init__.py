"""Training on TensorFlow: `import moxing.tensorflow as mox`.

Importing it takes MoXing's own flags (`--num_gpus=2`, see get_help) out of sys.argv.

Every function looks at its arguments before it does anything else: ArgumentTypeError (a TypeError) and InvalidArgumentError
(a ValueError) say which one does not fit, what it got and what is expected. UnsupportedError: this version cannot do it;
NotFoundError: a file, a checkpoint or a data set is not there; DataError: what was read is broken; RunError: a run failed
after it had started. All of them are moxing.errors.Error.
"""
import importlib

from moxing.tensorflow import _runtime  # noqa: F401  first: it loads TensorFlow without its notes
from moxing.errors import DataError, Error, InvalidArgumentError, NotFoundError, RunError, UnsupportedError
from moxing.tensorflow import auto, datasets
from moxing.tensorflow.datasets import *  # noqa: F403  data sets, by their names on the manual's pages
from moxing.tensorflow.executor import (AggregativeSessionRunHook, EarlyStoppingHook, ExportKeys, ExportSpec,
                                        FeedSessionRunHook, InputSpec, LogEvaluationMetricHook, LrFindResult, ModeKeys,
                                        ModelSpec, PlateauLREarlyStoppingHook, RunResult, encoded_images, get_collection,
                                        get_flag, get_help, lr_find, run, set_flag, var_scope)
from moxing.tensorflow.executor.flags import take_flags_from_command_line
from moxing.tensorflow.history import history
from moxing.tensorflow.nets import NetworkKeys, default_preprocess_fn, get_model_fn, get_model_meta
from moxing.tensorflow.optimizer import get_optimizer_fn, get_optimizer_wrapper_fn, learning_rate_scheduler
from moxing.tensorflow.plugins import load_plugin
from moxing.tensorflow.preprocessing import (PreprocessingKeys, balanced_class_weights, get_data_augmentation_fn,
                                             mix_batch)

__all__ = [
    "AggregativeSessionRunHook", "DataError", "EarlyStoppingHook", "Error", "ExportKeys", "ExportSpec", "FeedSessionRunHook",
    "InputSpec", "InvalidArgumentError", "LogEvaluationMetricHook", "LrFindResult", "ModeKeys", "ModelSpec", "NetworkKeys",
    "NotFoundError", "PlateauLREarlyStoppingHook", "PreprocessingKeys", "RunError", "RunResult", "UnsupportedError", "auto",
    "balanced_class_weights", "cache", "default_preprocess_fn", "encoded_images", "file", "get_collection", "get_data_augmentation_fn",
    "get_flag", "get_help", "get_model_fn", "get_model_meta", "get_optimizer_fn", "get_optimizer_wrapper_fn", "history",
    "learning_rate_scheduler", "load_plugin", "lr_find", "mix_batch", "run", "set_flag", "var_scope", *datasets.__all__,
]


def __getattr__(name):
    if name == "file":  # mox.file, as in `import moxing as mox`
        return importlib.import_module("moxing.file")
    if name in ("cache", "__version__"):
        return getattr(importlib.import_module("moxing"), name)
    raise AttributeError(f"module 'moxing.tensorflow' has no attribute '{name}'")


take_flags_from_command_line()
