"""tf.contrib: TF-Slim from PyPI, and what of the rest has a counterpart."""
import importlib
import sys

from moxing.v1 import keras, mixed_precision, mnist
from moxing.v1.hparams import HParams
from moxing.v1.view import Lazy, View, attribute, module, needed


def _tf_slim():
    """The package, on layers that TensorFlow 2.21 has no more."""
    if "tf_slim" in sys.modules:
        return sys.modules["tf_slim"]
    needed("tf_slim", "tf-slim", "tf.contrib.slim")
    # It imports tensorflow.python.layers, whose normalization is gone: for it alone, that is tf_keras's.
    package = importlib.import_module("tensorflow.python.layers")
    saved = {}
    for name, layer_module in keras.legacy_layers().items():
        full = f"{package.__name__}.{name}"
        saved[full] = sys.modules.get(full)
        sys.modules[full] = layer_module
        setattr(package, name, layer_module)
    full = "tensorflow.python.keras.engine"
    engine = importlib.import_module(full)
    own_spec = importlib.import_module(full + ".input_spec")
    engine.input_spec = importlib.import_module("tf_keras.src.engine.input_spec")
    try:
        return importlib.import_module("tf_slim")
    finally:
        engine.input_spec = own_spec
        for name, layer_module in saved.items():
            if layer_module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = layer_module
                setattr(package, name.rpartition(".")[2], layer_module)


def _slim_part(name):
    def make():
        _tf_slim()
        return importlib.import_module("tf_slim." + name)
    return Lazy(make)


def _slim():
    view = View("tensorflow.contrib.slim", {"nets": View("tensorflow.contrib.slim.nets", {}, [_slim_part("nets")]), "variables": _slim_part("ops.variables")},
                [Lazy(_tf_slim)])
    # tensorflow.contrib.slim.python.slim.nets.resnet_v1, tensorflow.contrib.slim.python.slim.data.dataset, …
    view.python = View("tensorflow.contrib.slim.python", {"slim": view})
    return view


def _layers():
    modules = [_slim_part("layers." + name) for name in
               ("layers", "initializers", "normalization", "optimizers", "regularizers", "summaries", "utils", "sparse_ops")]
    parts = {name: _slim_part("layers." + name) for name in ("initializers", "layers", "optimizers", "regularizers", "utils")}
    view = View("tensorflow.contrib.layers", {"l1_l2_regularizer": attribute("tf_slim.layers.regularizers:l1_l2_regularizer")},
                [_slim_part("layers"), *modules])
    inner = View("tensorflow.contrib.layers.python.layers", parts, [view])
    view.python = View("tensorflow.contrib.layers.python", {"layers": inner, "ops": View(
        "tensorflow.contrib.layers.python.ops", {"sparse_ops": _slim_part("layers.sparse_ops")})})
    return view


def _framework(tf):
    ops = {"arg_scope": _slim_part("ops.arg_scope"), "variables": _slim_part("ops.variables"),
           "ops": _slim_part("ops.framework_ops"), "checkpoint_utils": module("tensorflow.python.training.checkpoint_utils")}
    view = View("tensorflow.contrib.framework", {
        "nest": module("tensorflow.python.util.nest"), "is_tensor": tf.is_tensor, "sort": tf.sort, "argsort": tf.argsort,
        "assert_scalar": tf.assert_scalar, "assert_same_float_dtype": tf.debugging.assert_same_float_dtype,
        "init_from_checkpoint": tf.train.init_from_checkpoint, "load_checkpoint": tf.train.load_checkpoint,
        "load_variable": tf.train.load_variable, "list_variables": tf.train.list_variables,
        "CriticalSection": tf.CriticalSection,
        "deprecated": attribute("tensorflow.python.util.deprecation:deprecated"),
        "with_shape": lambda shape, tensor: tf.ensure_shape(tensor, shape),
    }, [ops["arg_scope"], ops["variables"], ops["ops"]])
    view.python = View("tensorflow.contrib.framework.python", {
        "ops": View("tensorflow.contrib.framework.python.ops", ops, [view]),
        "framework": View("tensorflow.contrib.framework.python.framework", {
            "checkpoint_utils": ops["checkpoint_utils"]}, [view])})
    return view


def _dropping(batch):
    return lambda batch_size, *args: lambda dataset: batch(dataset, batch_size, *args)


def _data(tf):
    experimental = tf.data.experimental
    return View("tensorflow.contrib.data", {
        "Dataset": tf.data.Dataset, "Iterator": tf.data.Iterator, "TFRecordDataset": tf.data.TFRecordDataset,
        "TextLineDataset": tf.data.TextLineDataset, "FixedLengthRecordDataset": tf.data.FixedLengthRecordDataset,
        "batch_and_drop_remainder": _dropping(lambda ds, size: ds.batch(size, drop_remainder=True)),
        "padded_batch_and_drop_remainder": _dropping(
            lambda ds, size, shapes, values=None: ds.padded_batch(size, shapes, values, drop_remainder=True)),
        "read_batch_features": experimental.make_batched_features_dataset,
    }, [experimental])


def _learn(tf):
    modes = View("tensorflow.contrib.learn.ModeKeys", {"TRAIN": "train", "EVAL": "eval", "INFER": "infer"})
    datasets = View("tensorflow.contrib.learn.datasets", {"mnist": mnist.input_data(tf)})
    view = View("tensorflow.contrib.learn", {"ModeKeys": modes, "datasets": datasets})
    view.python = View("tensorflow.contrib.learn.python", {"learn": view})
    return view


def _rnn(tf):
    view = View("tensorflow.contrib.rnn", {
        name: getattr(tf.nn, name) for name in ("static_rnn", "static_state_saving_rnn", "static_bidirectional_rnn")
    }, [Lazy(keras.rnn_cell)])
    view.python = View("tensorflow.contrib.rnn.python", {"ops": View("tensorflow.contrib.rnn.python.ops", {
        name: view for name in ("core_rnn", "core_rnn_cell", "core_rnn_cell_impl", "rnn", "rnn_cell")})})
    return view


def _tensorboard():
    def visualize_embeddings(summary_writer, config):
        folder = summary_writer if isinstance(summary_writer, str) else summary_writer.get_logdir()
        return importlib.import_module("tensorboard.plugins.projector").visualize_embeddings(folder, config)

    projector = View("tensorflow.contrib.tensorboard.plugins.projector", {"visualize_embeddings": visualize_embeddings},
                     [module("tensorboard.plugins.projector")])
    return View("tensorflow.contrib.tensorboard", {"plugins": View("tensorflow.contrib.tensorboard.plugins", {"projector": projector})})


def _stateless(tf):
    random = tf.random
    return View("tensorflow.contrib.stateless", {
        "stateless_multinomial": random.stateless_multinomial, "stateless_random_normal": random.stateless_normal,
        "stateless_random_uniform": random.stateless_uniform, "stateless_truncated_normal": random.stateless_truncated_normal})


def contrib(tf):
    """tf: tensorflow.compat.v1."""
    return View("tensorflow.contrib", {
        "autograph": View("tensorflow.contrib.autograph", {}, [tf.autograph]),
        "compiler": View("tensorflow.contrib.compiler", {"jit": View("tensorflow.contrib.compiler.jit", {
            "experimental_jit_scope": tf.xla.experimental.jit_scope})}),
        "data": Lazy(lambda: _data(tf)),
        "distributions": View("tensorflow.contrib.distributions", {}, [tf.distributions]),
        "framework": Lazy(lambda: _framework(tf)),
        "keras": keras.keras("tensorflow.contrib.keras"),
        "layers": Lazy(_layers),
        "learn": Lazy(lambda: _learn(tf)),
        "lookup": View("tensorflow.contrib.lookup", {}, [tf.lookup, module("tensorflow.python.ops.lookup_ops")]),
        "losses": View("tensorflow.contrib.losses", {}, [_slim_part("losses"), tf.losses]),
        "metrics": View("tensorflow.contrib.metrics", {"confusion_matrix": tf.confusion_matrix},
                        [_slim_part("metrics"), tf.metrics]),
        "mixed_precision": Lazy(lambda: mixed_precision.view(tf)),
        "rnn": Lazy(lambda: _rnn(tf)),
        "signal": View("tensorflow.contrib.signal", {}, [tf.signal]),
        "slim": Lazy(_slim),
        "stateless": Lazy(lambda: _stateless(tf)),
        "summary": View("tensorflow.contrib.summary", {}, [module("tensorflow.python.ops.summary_ops_v2")]),
        "tensorboard": Lazy(_tensorboard),
        "training": View("tensorflow.contrib.training",
                         {"HParams": HParams, "checkpoints_iterator": tf.train.checkpoints_iterator},
                         [_slim_part("training.training"), _slim_part("training.evaluation")]),
        "util": View("tensorflow.contrib.util", {
            "make_tensor_proto": tf.make_tensor_proto, "make_ndarray": tf.make_ndarray,
            "constant_value": tf.get_static_value}),
    })
