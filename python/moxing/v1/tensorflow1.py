"""TensorFlow 1 on TensorFlow 2.21, as a script sees it."""
import functools
import importlib
import importlib.util
import os
import sys
import warnings

import absl.logging

from moxing.v1 import contrib, flags, inputs, keras, mnist
from moxing.v1.view import Lazy, View, attribute, module

# Modules that were in `tf` itself before TensorFlow 1.5.
_LEAKED = ("array_ops", "control_flow_ops", "init_ops", "math_ops", "nn_ops", "random_ops", "state_ops")
VERSION = "1.15.5"  # what scripts compare with: the last that had all of this

# Names that TensorFlow has moved since: module -> {name: where it is now}.
_MOVED = {
    "tensorflow.python.framework.graph_util": {
        "convert_variables_to_constants": "framework.convert_to_constants:convert_variables_to_constants"},
    "tensorflow.python.framework.ops": {"IndexedSlices": "framework.indexed_slices:IndexedSlices",
                                        "Tensor": "framework.tensor:Tensor"},
    "tensorflow.python.ops.array_ops": {"stack": "ops.array_ops_stack:stack", "unstack": "ops.array_ops_stack:unstack"},
    "tensorflow.python.ops.control_flow_ops": {
        "Assert": "ops.control_flow_assert:Assert", "case": "ops.control_flow_case:case", "cond": "ops.cond:cond",
        "while_loop": "ops.while_loop:while_loop"},
    "tensorflow.python.ops.variable_scope": {"variable": "ops.variable_v1:VariableV1"},
    "tensorflow.python.pywrap_tensorflow": {"NewCheckpointReader": "training.py_checkpoint_reader:NewCheckpointReader"},
    "tensorflow.python.training.saver": {"checkpoint_exists": "checkpoint.checkpoint_management:checkpoint_exists",
                                         "get_checkpoint_state": "checkpoint.checkpoint_management:get_checkpoint_state",
                                         "latest_checkpoint": "checkpoint.checkpoint_management:latest_checkpoint"},
    "tensorflow.python.util.nest": {"is_sequence": "util.nest:is_nested"},
}


def _moved_back():
    for name, names in _MOVED.items():
        owner = importlib.import_module(name)
        for key, place in names.items():
            if not hasattr(owner, key):
                setattr(owner, key, attribute("tensorflow.python." + place).make())


def _load(command_line):
    """TensorFlow and MoXing; MoXing's flags are taken from the command line now, before the script looks at it."""
    if importlib.util.find_spec("tf_keras"):
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    # What the runtime tells of graphs that sessions extend, and of inputs that end, was no line in TensorFlow 1.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    argv = list(sys.argv)
    sys.argv[1:] = []
    mox = importlib.import_module("moxing.tensorflow")
    sys.argv[1:] = argv[1:]
    names = {line.strip()[2:].partition("=")[0] for line in mox.get_help().splitlines() if line.strip().startswith("--")}
    command_line.hide_empty(names)
    before = sys.argv[1:]
    mox.executor.flags.take_flags_from_command_line()
    command_line.taken.note(before, sys.argv[1:])
    return mox


def _behave_as_version_1():
    from tensorflow.python.util import deprecation
    import tensorflow.compat.v1 as tf
    deprecation._PRINT_DEPRECATION_WARNINGS = False
    tf.logging.set_verbosity(tf.logging.WARN)
    tf.get_logger().addFilter(lambda record: "deprecated" not in str(record.msg))
    # app.run gives absl's own handler to the root logger; what tf.logging says would come out twice.
    absl.logging.get_absl_handler().addFilter(lambda record: record.name != "tensorflow")
    warnings.filterwarnings("ignore", r"(?is).*(is deprecated|will be removed in|considered legacy)", UserWarning)
    tf.disable_v2_behavior()
    tf.enable_resource_variables()  # the engine runs no others
    tf.enable_control_flow_v2()     # tf.cond and tf.while_loop as functions, which the engine carries everywhere
    _moved_back()
    return tf


def _python(tf, the_flags, app):
    platform = View("tensorflow.python.platform", {"flags": the_flags, "app": app}, [module("tensorflow.python.platform")])
    return View("tensorflow.python", {
        "keras": keras.keras("tensorflow.python.keras"), "layers": Lazy(keras.python_layers), "platform": platform,
    }, [module("tensorflow.python")])


def _estimator():
    modes = View("tensorflow.estimator.ModeKeys", {"TRAIN": "train", "EVAL": "eval", "PREDICT": "infer"})
    return View("tensorflow.estimator", {"ModeKeys": modes})


def _parse_example(parse):
    """Of TensorFlow 1: a vector of examples. Today's takes a scalar, too, and knows no shape where it cannot tell."""
    @functools.wraps(parse)
    def parse_example(serialized, *args, **kwargs):
        import tensorflow.compat.v1 as tf
        serialized = tf.convert_to_tensor(serialized)
        if serialized.shape.rank is None:
            serialized = tf.ensure_shape(serialized, [None])
        return parse(serialized, *args, **kwargs)

    return parse_example


def _tensorflow(tf, command_line, script_flags):
    the_flags = flags.flags_view("tensorflow.flags", command_line, tf.flags, script_flags)
    app = flags.app_view("tensorflow.app", command_line, tf.app, the_flags)
    view = View("tensorflow", {
        **{name: module("tensorflow.python.ops." + name) for name in _LEAKED},
        "VERSION": VERSION, "__version__": VERSION, "app": app, "flags": the_flags,
        "contrib": Lazy(lambda: contrib.contrib(tf)), "core": module("tensorflow.core"), "estimator": Lazy(_estimator),
        "examples": Lazy(lambda: mnist.examples(tf)), "keras": keras.keras("tensorflow.keras"),
        "layers": Lazy(keras.tf_layers), "nn": View("tensorflow.nn", {"rnn_cell": Lazy(keras.rnn_cell)}, [tf.nn]),
        "pywrap_tensorflow": module("tensorflow.python.pywrap_tensorflow"),
        "io": View("tensorflow.io", {"parse_example": _parse_example(tf.io.parse_example)}, [tf.io]),
        "parse_example": _parse_example(tf.parse_example),
        "python": Lazy(lambda: _python(tf, the_flags, app)),
    }, [tf], tf.__doc__)
    view.__version__ = view.__git_version__ = VERSION
    version_2 = importlib.import_module("tensorflow")
    view.__file__ = version_2.__file__
    view.compat = View("tensorflow.compat", {"v1": view, "v2": version_2}, [tf.compat])
    return view


def _moxing(mox):
    run = inputs.adapted_run(mox.run, mox)
    mox.auto.run_once = run  # its search and run end there, with param_spec given to the script's functions
    executor = View("moxing.tensorflow.executor", {"run": run}, [mox.executor])
    return View("moxing.tensorflow", {"__version__": mox.__version__, "run": run, "executor": executor}, [mox], mox.__doc__)


def views(command_line, script_flags):
    """(tensorflow, moxing.tensorflow) for the script."""
    mox = _load(command_line)
    tf = _behave_as_version_1()
    return _tensorflow(tf, command_line, script_flags), _moxing(mox)
