"""`mox convert` against the libraries whose weights it reads: logits on one picture, from both sides.

With a Python that has the library (Keras; PyTorch with torchvision or timm), random weights and what the library makes of them:
    python tests/reference/converted_weights.py make keras:MobileNet:0.25 FOLDER       # also keras:NASNetMobile:same, torchvision:resnet50, timm:resnet18
With the Python of moxing, which converts the file and runs the picture through its network:
    python tests/reference/converted_weights.py check FOLDER…
prints the largest difference of a logit, beside the largest logit. Not part of CI: networks of 140 million weights.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile

import numpy as np

_SIDES = {"NASNetLarge": 331, "InceptionV3": 299, "InceptionResNetV2": 299}


def _picture(side, low, high):
    """Smooth, so that no layer saturates; values from low to high."""
    y, x = np.mgrid[0:side, 0:side] / side
    channels = [np.sin(7 * x + 3 * y), np.cos(5 * x * y + 2), np.sin(11 * (x - y))]
    return ((np.stack(channels, -1) + 1) / 2 * (high - low) + low).astype(np.float32)[None]


def _statistics(rng, name, shape):
    """Of a normalization; None for other weights, which keep the library's initial values."""
    if "gamma" in name or name.endswith("norm.weight"):
        return rng.uniform(0.7, 1.3, shape)
    if "variance" in name or "running_var" in name:
        return rng.uniform(0.5, 1.5, shape)
    if any(part in name for part in ("beta", "mean", "bias")):
        return rng.normal(0, 0.1, shape)
    return None


def _pools_as_slim(keras):
    """NASNet of Keras with pools that do not see the padding, as TF-slim's: the one place where the two differ."""
    from keras.src.applications import nasnet

    class Layers:
        def __getattr__(self, name):
            return getattr(keras.layers, name)

        @staticmethod
        def ZeroPadding2D(padding, name=None):
            is_pools = name is not None and name.startswith("reduction_pad_")
            return keras.layers.Identity(name=name) if is_pools else keras.layers.ZeroPadding2D(padding, name=name)

        @staticmethod
        def _pool(kind, size, strides, padding, name):
            return kind(size, strides=strides, padding="valid" if size == (1, 1) else "same", name=name)

        def MaxPooling2D(self, size, strides, padding, name):
            return self._pool(keras.layers.MaxPooling2D, size, strides, padding, name)

        def AveragePooling2D(self, size, strides, padding, name):
            return self._pool(keras.layers.AveragePooling2D, size, strides, padding, name)

    nasnet.layers = Layers()


def _make_keras(name, width, folder):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    keras.utils.set_random_seed(1)
    if width == "same":
        _pools_as_slim(keras)
        width = None
    arguments = {"alpha": float(width)} if width else {}
    model = getattr(keras.applications, name)(weights=None, classifier_activation=None, **arguments)
    rng = np.random.RandomState(1)
    for weight in model.weights:
        value = _statistics(rng, weight.path.rpartition("/")[2], weight.shape)
        if value is not None:
            weight.assign(value)
    module = {"ResNet50": "resnet", "ResNet101": "resnet", "ResNet152": "resnet", "ResNet50V2": "resnet_v2", "ResNet101V2": "resnet_v2",
              "ResNet152V2": "resnet_v2", "MobileNet": "mobilenet", "MobileNetV2": "mobilenet_v2", "VGG16": "vgg16", "VGG19": "vgg19",
              "InceptionV3": "inception_v3", "InceptionResNetV2": "inception_resnet_v2", "NASNetMobile": "nasnet", "NASNetLarge": "nasnet"}[name]
    picture = _picture(_SIDES.get(name, 224), 0, 255)
    prepared = getattr(keras.applications, module).preprocess_input(picture.copy())
    files = ["weights.h5", "model.weights.h5", "model.keras"] if model.count_params() < 6e6 else ["weights.h5"]
    for file in files:
        (model.save_weights if file.endswith(".weights.h5") else model.save)(folder / file)
    return files, model.predict(prepared, verbose=0)[0]


def _make_torch(library, name, folder):
    import torch
    torch.manual_seed(1)
    if library == "torchvision":
        import torchvision
        model = getattr(torchvision.models, name)(weights=None)
    else:
        import timm
        model = timm.create_model(name, pretrained=False)
    rng = np.random.RandomState(1)
    norms = {key for key, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    state = model.state_dict()
    for key, tensor in state.items():
        layer, _, part = key.rpartition(".")
        if layer in norms and part != "num_batches_tracked":
            tensor.copy_(torch.from_numpy(_statistics(rng, {"weight": "gamma", "bias": "beta"}.get(part, part), tuple(tensor.shape))))
    model.load_state_dict(state)
    model.eval()
    picture = _picture(224, 0, 255)
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    with torch.no_grad():
        logits = model(torch.from_numpy(((picture / 255 - mean) / deviation).transpose(0, 3, 1, 2).copy()))[0].numpy()
    torch.save(model.state_dict(), folder / "weights.pth")
    torch.save(model.state_dict(), folder / "old.pth", _use_new_zipfile_serialization=False)
    files = ["weights.pth", "old.pth"]
    try:
        from safetensors.torch import save_file
        save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, folder / "model.safetensors")
        files.append("model.safetensors")
    except ImportError:
        pass
    return files, logits


def _ours(made, picture):
    """Logits of the converted checkpoint, for the picture that their preprocessing got."""
    import moxing.tensorflow as mox
    import tensorflow.compat.v1 as tf
    settings = json.loads(pathlib.Path(made.checkpoint).with_name("run.json").read_text())
    kind = settings.get("preprocessing_name") or made.model_name
    if kind == "torch" or kind.startswith("resnet_v15"):
        image = (picture - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375])
    elif kind.startswith(("vgg", "resnet_v1_keras")):
        image = picture - np.float32([123.68, 116.779, 103.939])
    else:
        image = picture / np.float32(127.5) - 1
    with tf.Graph().as_default(), tf.Session() as session:
        fed = tf.placeholder(tf.float32, picture.shape)
        logits, _ = mox.get_model_fn(made.model_name, "EVAL", made.num_classes)(fed)
        tf.train.Saver(tf.global_variables()).restore(session, made.checkpoint)
        return session.run(logits, {fed: image})[0]


def _check(folder):
    from moxing.convert import convert_weights
    told = json.loads((folder / "told.json").read_text())
    expected = np.load(folder / "logits.npy")
    for file in told["files"]:
        with tempfile.TemporaryDirectory() as target:
            made = convert_weights(str(folder / file), target)
            got = _ours(made, _picture(told["side"], 0, 255))
        worst = float(np.abs(got - expected).max())
        largest = float(np.abs(expected).max())
        print(f"| {told['what']} | {file} | `{made.model_name}` | {largest:.4g} | {worst:.2g} | {len(made.new_variables)} new, "
              f"{len(made.left_over)} left over |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("rest", nargs="+")
    arguments = parser.parse_args()
    if arguments.what == "check":
        for folder in arguments.rest:
            _check(pathlib.Path(folder))
        return
    library, name, *width = arguments.rest[0].split(":")
    folder = pathlib.Path(arguments.rest[1])
    folder.mkdir(parents=True, exist_ok=True)
    files, logits = _make_keras(name, width[0] if width else None, folder) if library == "keras" else _make_torch(library, name, folder)
    np.save(folder / "logits.npy", logits)
    (folder / "told.json").write_text(json.dumps({"what": arguments.rest[0], "files": files, "side": _SIDES.get(name, 224)}))


if __name__ == "__main__":
    sys.exit(main())
