"""Weights of other libraries become checkpoints: files as those libraries write them, wrong ones and hostile ones."""
import collections
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import types
import zipfile
import zlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from moxing.convert import convert_weights
from moxing.errors import DataError, InvalidArgumentError, NotFoundError, UnsupportedError

EXPECTED = json.loads((pathlib.Path(__file__).parent / "converted_logits.json").read_text())


def picture(side):
    y, x = np.mgrid[0:side, 0:side] / side
    channels = [np.sin(7 * x + 3 * y), np.cos(5 * x * y + 2), np.sin(11 * (x - y))]
    return np.stack(channels, -1).astype(np.float32)[None]


def logits(mox, made, image):
    with tf.Graph().as_default(), tf.Session() as session:
        fed = tf.placeholder(tf.float32, image.shape)
        result, _ = mox.get_model_fn(made.model_name, "EVAL", made.num_classes)(fed)
        tf.train.Saver(tf.global_variables()).restore(session, made.checkpoint)
        return session.run(result, {fed: image})[0]


def values(name, shape):
    """Weights that every side can make again: of a name and a shape."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) == 1 and name.endswith("weight"):
        return rng.uniform(0.7, 1.3, shape).astype(np.float32)
    scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
    return rng.normal(0, scale, shape).astype(np.float32)


# PyTorch, which need not be installed: what it writes, written here.

def resnet_18(classes=10):
    shapes = {"conv1.weight": (64, 3, 7, 7)}

    def norm(name, size):
        shapes.update({f"{name}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")})

    norm("bn1", 64)
    inputs = 64
    for block, size in enumerate((64, 128, 256, 512), 1):
        for unit in range(2):
            name = f"layer{block}.{unit}"
            shapes[f"{name}.conv1.weight"] = (size, inputs, 3, 3)
            norm(f"{name}.bn1", size)
            shapes[f"{name}.conv2.weight"] = (size, size, 3, 3)
            norm(f"{name}.bn2", size)
            if inputs != size:
                shapes[f"{name}.downsample.0.weight"] = (size, inputs, 1, 1)
                norm(f"{name}.downsample.1", size)
            inputs = size
    return {**shapes, "fc.weight": (classes, 512), "fc.bias": (classes,)}


@pytest.fixture(scope="module")
def state():
    return {name: values(name, shape) for name, shape in resnet_18().items()}


def safetensors(path, arrays):
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in arrays.values()))
    return path


@pytest.fixture
def fake_torch(monkeypatch):
    """Modules whose functions a pickle can name."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch", "__qualname__": "FloatStorage"})
    torch.LongStorage = type("LongStorage", (), {"__module__": "torch", "__qualname__": "LongStorage"})
    exec("def _rebuild_tensor_v2(*a): pass", vars(utils))
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch, utils


class _Pickled:
    """A tensor, as PyTorch pickles it."""

    def __init__(self, key, array, modules):
        self.key, self.array, (self.torch, self.utils) = key, array, modules

    def __reduce__(self):
        strides = tuple(stride // self.array.itemsize for stride in self.array.strides)
        return self.utils._rebuild_tensor_v2, (_Storage(self), 0, self.array.shape, strides, False, collections.OrderedDict())


class _Storage:
    def __init__(self, tensor):
        self.tensor = tensor


class _Pickler(pickle.Pickler):
    def __init__(self, file, legacy):
        super().__init__(file, 2)
        self._legacy = legacy

    def persistent_id(self, thing):
        if not isinstance(thing, _Storage):
            return None
        tensor = thing.tensor
        kind = tensor.torch.FloatStorage if tensor.array.dtype == np.float32 else tensor.torch.LongStorage
        return ("storage", kind, tensor.key, "cpu", tensor.array.size) + ((None,) if self._legacy else ())


def torch_zip(path, value, arrays):
    packed = io.BytesIO()
    _Pickler(packed, False).dump(value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", packed.getvalue())
        for key, array in arrays.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
    return path


def torch_legacy(path, value, arrays):
    with open(path, "wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(part, file, 2)
        _Pickler(file, True).dump(value)
        pickle.dump(list(arrays), file, 2)
        for array in arrays.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())
    return path


def pickled(state, modules, prefix=""):
    arrays = {str(i): array for i, array in enumerate(state.values())}
    tensors = collections.OrderedDict((prefix + name, _Pickled(key, array, modules)) for (name, array), key in zip(state.items(), arrays))
    return tensors, arrays


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy", "trainer"])
def test_torchvisions_resnet_18_gives_torchvisions_logits(mox, tmp_path, state, fake_torch, kind):
    """The expected ones are torchvision's own, of the same weights: tests/reference/converted_logits.py."""
    if kind == "safetensors":
        path = safetensors(tmp_path / "w.safetensors", state)
    else:
        with_count = {**state, "bn1.num_batches_tracked": np.array([7], np.int64)}
        value, arrays = pickled(with_count, fake_torch, "module." if kind == "trainer" else "")
        value = {"epoch": 3, "state_dict": value} if kind == "trainer" else value
        path = (torch_legacy if kind == "legacy" else torch_zip)(tmp_path / "w.pth", value, arrays)
    made = convert_weights(path, tmp_path / "run")
    assert (made.model_name, made.num_classes, made.source, made.variables, made.new_variables, made.left_over) == (
        "resnet_v15_18", 10, "PyTorch", 102, [], [])
    assert json.loads((tmp_path / "run/run.json").read_text())["preprocessing_name"] == "torch"
    np.testing.assert_allclose(logits(mox, made, picture(96)), EXPECTED["torchvision:resnet18"], rtol=1e-4, atol=1e-4)


def test_a_last_layer_of_other_classes_is_left_out(mox, tmp_path, state):
    path = safetensors(tmp_path / "w.safetensors", state)
    made = convert_weights(path, tmp_path / "run", num_classes=4)
    assert made.num_classes == 4 and sorted(made.new_variables) == ["resnet_v15_18/logits/biases", "resnet_v15_18/logits/weights"]
    without = safetensors(tmp_path / "body.safetensors", {name: array for name, array in state.items() if not name.startswith("fc.")})
    with pytest.raises(InvalidArgumentError, match="has no last layer: give num_classes"):
        convert_weights(without, tmp_path / "other")
    assert convert_weights(without, tmp_path / "other", num_classes=3).num_classes == 3


class _Command:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("write", [torch_zip, torch_legacy])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, state, fake_torch, write):
    value, arrays = pickled({"conv1.weight": state["conv1.weight"]}, fake_torch)
    value["extra"] = _Command(tmp_path / "was_run")
    with pytest.raises(DataError, match=r"(posix|os)\.system, which is no part of a state dict.*nothing in the file was executed"):
        convert_weights(write(tmp_path / "evil.pth", value, arrays), tmp_path / "run")
    with open(tmp_path / "bare.pth", "wb") as file:
        pickle.dump(_Command(tmp_path / "was_run"), file, 2)
    with pytest.raises(DataError, match="system"):
        convert_weights(tmp_path / "bare.pth", tmp_path / "run")
    assert not (tmp_path / "was_run").exists() and not (tmp_path / "run").exists()


def test_broken_files_of_pytorch(tmp_path, state, fake_torch):
    value, arrays = pickled(state, fake_torch)
    whole = torch_zip(tmp_path / "w.pth", value, arrays).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[:len(whole) // 2])
    legacy = torch_legacy(tmp_path / "l.pth", value, arrays).read_bytes()
    (tmp_path / "cut_legacy.pth").write_bytes(legacy[:-1000])
    safe = safetensors(tmp_path / "w.safetensors", state).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(safe[:-1000])
    (tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + safe[8:])
    torch_zip(tmp_path / "short.pth", value, {**arrays, "0": arrays["0"].ravel()[:10]})
    for name in ("cut.pth", "cut_legacy.pth", "cut.safetensors", "long.safetensors", "short.pth"):
        with pytest.raises(DataError, match=name):
            convert_weights(tmp_path / name, tmp_path / "run")


@pytest.mark.parametrize("changed, error, message", [
    ({"layer1.0.conv2.weight": (128, 4, 3, 3), "layer1.0.conv3.weight": (256, 128, 1, 1)}, UnsupportedError, "a ResNet of another kind"),
    ({"layer3.0.conv1.weight": (256, 128, 1, 1)}, DataError, r"has shape \[3, 3, 128, 256\], the file gives \[1, 1, 128, 256\]"),
    ({"layer4.1.bn2.running_var": None}, DataError, "has no layer4.1.bn2.running_var: it is another network's, or was cut off"),
])
def test_another_network(tmp_path, state, changed, error, message):
    arrays = {name: array for name, array in state.items() if changed.get(name, 0) is not None}
    arrays.update({name: np.zeros(shape, np.float32) for name, shape in changed.items() if shape})
    with pytest.raises(error, match=message):
        convert_weights(safetensors(tmp_path / "w.safetensors", arrays), tmp_path / "run")
    assert not (tmp_path / "run/checkpoint").exists()


def test_networks_that_only_look_alike_are_refused(tmp_path):
    weights = {"features.0.0.weight": np.zeros((32, 3, 3, 3), np.float32), "classifier.1.bias": np.zeros(10, np.float32)}
    with pytest.raises(UnsupportedError, match="MobileNetV2 of torchvision, which pads its convolutions evenly"):
        convert_weights(safetensors(tmp_path / "w.safetensors", weights), tmp_path / "run")
    with pytest.raises(UnsupportedError, match="is of no network that there is here"):
        convert_weights(safetensors(tmp_path / "b.safetensors", {"bert.weight": np.zeros(3, np.float32)}), tmp_path / "run")


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.pth").write_text("hello, I am a web page")
    (tmp_path / "empty.h5").write_bytes(b"")
    for name in ("text.pth", "empty.h5"):
        with pytest.raises(DataError, match="is none of the files that can be converted"):
            convert_weights(tmp_path / name, tmp_path / "run")
    with pytest.raises(NotFoundError, match="there is no file"):
        convert_weights(tmp_path / "missing.pth", tmp_path / "run")
    with pytest.raises(NotFoundError, match="holds no checkpoint"):
        convert_weights(tmp_path, tmp_path / "run")


def test_a_folder_with_a_checkpoint_is_not_overwritten(tmp_path, state):
    path = safetensors(tmp_path / "w.safetensors", state)
    convert_weights(path, tmp_path / "run")
    with pytest.raises(InvalidArgumentError, match="holds a checkpoint already"):
        convert_weights(path, tmp_path / "run")


# Keras: its own files.

@pytest.fixture(scope="module")
def keras_model():
    keras = pytest.importorskip("keras")
    pytest.importorskip("h5py")
    if not tf.executing_eagerly():
        pytest.skip("Keras makes its models eagerly")
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNet(input_shape=(64, 64, 3), alpha=0.25, weights=None, classes=7, classifier_activation=None)
    rng = np.random.RandomState(1)
    for weight in model.weights:
        if "variance" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "beta" in weight.path or "mean" in weight.path:
            weight.assign(rng.normal(0, 0.1, weight.shape))
    return model


@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "model.keras"])
def test_keras_mobilenet_gives_keras_logits(mox, tmp_path, keras_model, name):
    (keras_model.save_weights if "weights" in name else keras_model.save)(tmp_path / name)
    made = convert_weights(tmp_path / name, tmp_path / "run")
    assert (made.model_name, made.num_classes, made.source, made.new_variables, made.left_over) == ("mobilenet_v1_025", 7, "Keras", [], [])
    image = picture(64)
    np.testing.assert_allclose(logits(mox, made, image), keras_model(image).numpy()[0], rtol=1e-4, atol=1e-4)


def test_a_model_around_one_of_keras(mox, tmp_path, keras_model):
    """A user's own head on a model of keras.applications without its top."""
    import keras
    body = keras.applications.MobileNet(input_shape=(64, 64, 3), alpha=0.25, weights=None, include_top=False, pooling="avg")
    model = keras.Sequential([keras.Input((64, 64, 3)), body, keras.layers.Dense(3, name="mine")])
    for name in ("model.h5", "model.keras"):
        model.save(tmp_path / name)
        made = convert_weights(tmp_path / name, tmp_path / name.partition(".")[2], num_classes=3)
        assert sorted(made.new_variables) == ["MobilenetV1/Logits/Conv2d_1c_1x1/biases", "MobilenetV1/Logits/Conv2d_1c_1x1/weights"]
        assert all("mine" in left for left in made.left_over) and made.left_over
        kernel = body.get_layer("conv_pw_13").kernel.numpy()
        reader = tf.train.load_checkpoint(made.checkpoint)
        np.testing.assert_array_equal(reader.get_tensor("MobilenetV1/Conv2d_13_pointwise/weights"), kernel)


def test_another_width_of_keras(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["conv_pw_13/conv_pw_13/kernel:0"] = np.zeros((1, 1, 640, 640), np.float32)
    with pytest.raises(UnsupportedError, match="a MobileNet of another width"):
        convert_weights(tmp_path / "w.h5", tmp_path / "run")


def test_files_of_keras_that_point_elsewhere_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel:0"] = np.ones((3, 3, 3, 8), np.float32)
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file["conv1/kernel:0"] = h5py.ExternalLink(str(secret), "kernel:0")
    with h5py.File(tmp_path / "soft.h5", "w") as file:
        file["conv1/kernel:0"] = h5py.SoftLink("/elsewhere")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("conv1/kernel:0", (4,), np.float32, external=[(str(secret), 0, 16)])
    with h5py.File(tmp_path / "loop.h5", "w") as file:
        file.create_group("a")
        file["a/b"] = file["a"]
    for name, message in (("external.h5", "points out of the file"), ("soft.h5", "points out of the file"),
                          ("raw.h5", "keeps its numbers in another file"), ("loop.h5", "groups that hold themselves")):
        with pytest.raises(DataError, match=message):
            convert_weights(tmp_path / name, tmp_path / "run")
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(50_000_000))
    with pytest.raises(DataError, match="would unpack to 50000000 bytes"):
        convert_weights(tmp_path / "bomb.keras", tmp_path / "run")
    cut = secret.read_bytes()[:700]
    (tmp_path / "cut.h5").write_bytes(cut)
    with pytest.raises(DataError, match="cut.h5"):
        convert_weights(tmp_path / "cut.h5", tmp_path / "run")


# TF-slim, and the program.

@pytest.mark.parametrize("version", ["V1", "V2"])
def test_checkpoints_of_slim_as_they_are(mox, tmp_path, version):
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.constant(picture(96))
        result, _ = mox.get_model_fn("mobilenet_v1_025", "EVAL", 11)(image)
        momentum = tf.get_variable("MobilenetV1/Conv2d_0/weights/Momentum", [3, 3, 3, 8])
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(write_version=getattr(tf.train.SaverDef, version))
        (tmp_path / "slim").mkdir()
        path = saver.save(session, str(tmp_path / "slim/mobilenet_v1_0.25_224.ckpt"))
        expected = session.run(result)[0]
        assert momentum is not None
    made = convert_weights(path, tmp_path / "run")
    assert (made.model_name, made.num_classes, made.source, made.new_variables) == ("mobilenet_v1_025", 11, "TF-slim", [])
    assert made.left_over == ["MobilenetV1/Conv2d_0/weights/Momentum"]
    np.testing.assert_allclose(logits(mox, made, picture(96)), expected, rtol=1e-5, atol=1e-5)
    made = convert_weights(path, tmp_path / "new", num_classes=5)
    assert made.num_classes == 5 and all("Logits" in name for name in made.new_variables)


def test_what_is_not_quite_theirs_is_told(monkeypatch, capsys):
    from moxing.convert import command, convert, from_keras

    assert from_keras.difference_of("vgg_16") == "" and "pads the pools" in from_keras.difference_of("nasnet_mobile")
    made = convert.Converted("nasnet_mobile", 5, "run/model.ckpt", "Keras", 3, [], [], from_keras.difference_of("nasnet_mobile"))
    monkeypatch.setattr(convert, "convert_weights", lambda **options: made)
    command.main(["nasnet.h5", "run"])
    assert f"note: {made.difference}\n" in capsys.readouterr().out
