"""keras.*, tf.keras.*, tensorflow.python.keras.* and tf.layers as they were, from tf_keras."""
import contextlib
import contextvars
import importlib
import sys
import types

from moxing.v1.view import MISSING, Lazy, View, module, needed, submodule

# Modules that Keras has moved since: what is in them now lies in these.
_MOVED = {
    "backend.tensorflow_backend": ["backend"],
    "engine.topology": ["engine.base_layer", "engine.input_layer", "engine.input_spec", "engine.functional"],
    "engine.network": ["engine.functional"],
    "engine.topology_v1": ["engine.base_layer"],
    "layers.advanced_activations": ["layers.activation"],
    "layers.convolutional_recurrent": ["layers.rnn"],
    "layers.cudnn_recurrent": ["layers.rnn"],
    "layers.embeddings": ["layers.core.embedding", "layers.core"],
    "layers.local": ["layers.locally_connected"],
    "layers.merge": ["layers.merging", "layers"],
    "layers.recurrent": ["layers.rnn"],
    "layers.wrappers": ["layers.rnn", "layers"],
    "utils.training_utils": ["utils.tf_utils"],
}
# Names of Keras 2.0 to 2.2 that are written otherwise now.
_RENAMED = {
    "optimizers": {"adadelta": "Adadelta", "adagrad": "Adagrad", "adam": "Adam", "adamax": "Adamax", "nadam": "Nadam",
                   "rmsprop": "RMSprop", "sgd": "SGD", "TFOptimizer": "Optimizer"},
    "layers": {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"},
    "engine": {"Layer": "base_layer.Layer", "InputSpec": "input_spec.InputSpec"},
}


_training = contextvars.ContextVar("training", default=None)  # of the model_fn that is called


def _backend():
    """None: no script has asked for Keras yet."""
    return sys.modules.get("tf_keras.src.backend")


def _tell_learning_phase():
    if _backend() is not None and _training.get() is not None:
        _backend().deprecated_internal_set_learning_phase(int(_training.get()))


def learning_phase():
    """What the script has told with K.set_learning_phase of the graph that is the default now; None: nothing."""
    if _backend() is None:
        return None
    import tensorflow.compat.v1 as tf
    phase = _backend()._GRAPH_LEARNING_PHASES.get(tf.get_default_graph())
    return phase if isinstance(phase, int) else None


@contextlib.contextmanager
def training(is_training):
    """Inside, layers that are not told whether they train (Dropout, BatchNormalization) do so where is_training."""
    token = _training.set(bool(is_training))
    try:
        _tell_learning_phase()
        yield
    finally:
        _training.reset(token)


def _packages():
    needed("tf_keras", "tf-keras", "Keras")
    if _backend() is None:
        importlib.import_module("tf_keras.src.backend")
        _tell_learning_phase()
    return [importlib.import_module(name) for name in ("tf_keras.api._v1.keras", "tf_keras", "tf_keras.src")]


def _member(module, name):
    value = getattr(module, name, MISSING)
    return submodule(module, name) if value is MISSING else value


class KerasView(View):
    """A module of Keras: what any of the packages has at this place, the public one of TensorFlow 1 first."""

    def __init__(self, name, place, bases):
        super().__init__(name, bases=bases)
        vars(self)["_place"] = place

    def _find(self, name):
        place = f"{self._place}.{name}" if self._place else name
        if place in ("_impl", "_impl.keras", "python", "python.keras"):  # tensorflow.python.keras._impl.keras.layers
            return KerasView(f"{self.__name__}.{name}", "" if place.endswith("keras") else place, self._bases)
        renamed = _RENAMED.get(self._place, {}).get(name)
        if renamed is not None:
            value = self
            for part in renamed.split("."):
                value = getattr(value, part)
            return value
        found = [value for base in self._bases for value in [_member(base, name)] if value is not MISSING]
        found += [value for moved in _MOVED.get(place, ()) for value in self._at(moved)]
        if not found and self._place.startswith("layers."):  # modules of layers were laid out otherwise
            found = [value for package in self._at("layers") for value in [_member(package, name)] if value is not MISSING]
        if not found:
            return MISSING
        if isinstance(found[0], types.ModuleType):
            modules = [value for value in found if isinstance(value, types.ModuleType)]
            return KerasView(f"{self.__name__}.{name}", place, modules)
        return found[0]

    @staticmethod
    def _at(place):
        for package in _packages():
            try:
                yield importlib.import_module(f"{package.__name__}.{place}")
            except ModuleNotFoundError:
                continue


def keras(name):
    """The whole of Keras, under the name that the script knows it by."""
    return Lazy(lambda: KerasView(name, "", _packages()))


def legacy_layers():
    """The modules base, convolutional, core, normalization and pooling of tf.layers."""
    needed("tf_keras", "tf-keras", "tf.layers")
    return {name: importlib.import_module("tf_keras.src.legacy_tf_layers." + name)
            for name in ("base", "convolutional", "core", "normalization", "pooling")}


def tf_layers():
    needed("tf_keras", "tf-keras", "tf.layers")
    return View("tensorflow.layers", bases=[importlib.import_module("tf_keras.api._v1.keras.__internal__.legacy.layers")])


def python_layers():
    """tensorflow.python.layers, with its modules."""
    modules = legacy_layers()
    return View("tensorflow.python.layers", {**modules, "layers": View("tensorflow.python.layers.layers", bases=list(modules.values())),
                                             "utils": module("tensorflow.python.layers.utils")})


def rnn_cell():
    needed("tf_keras", "tf-keras", "tf.nn.rnn_cell")
    return View("tensorflow.nn.rnn_cell",
                bases=[importlib.import_module("tf_keras.api._v1.keras.__internal__.legacy.rnn_cell")])
