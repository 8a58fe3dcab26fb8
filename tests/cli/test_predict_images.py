"""mox predict reads pictures as training and evaluation do: the same files, the same pixels."""

import json
import math
import pathlib
import shutil
import struct

import pytest

from png_files import png
from program import mox

IMAGES = pathlib.Path(__file__).resolve().parents[1] / "data/images"  # one of each format, 24x16


def deep_png():
    """16 bits a value."""
    rows = b"".join(b"\0" + b"".join(struct.pack(">HHH", x * 2500, y * 3900, (x + y) * 1500) for x in range(24)) for y in range(16))
    return png(24, 16, 16, 2, rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Every format, by turns in two classes; names without an ending, with rare and large ones."""
    folder = tmp_path_factory.mktemp("formats") / "data"
    pictures = sorted(IMAGES.iterdir())
    for i, picture in enumerate(pictures):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder / "ab"[i % 2] / picture.name)
    (folder / "a/deep.PNG").write_bytes(deep_png())
    for name in ("x.jpe", "x.jfif", "X.JPG", "x.WebP", "plain"):
        shutil.copy(IMAGES / ("lossy.webp" if "Web" in name else "baseline.jpg"), folder / "b" / name)
    (folder / "a/.hidden.png").write_bytes(b"no image")
    (folder / "a/notes.txt").write_bytes(b"no image")
    return folder, len(pictures) + 6


@pytest.mark.parametrize("channels", [3, 1])
def test_predict_sees_the_pixels_of_eval(data, tmp_path, channels):
    folder, count = data
    run = tmp_path / "run"
    mox("train", "--model_name=lenet", f"--data_url={folder}", f"--train_url={run}", "--batch_size=7", "--max_number_of_steps=20",
        f"--channels={channels}", "--seed=1", "--optimizer=adam", "--learning_rate_strategy=10:0.001")
    result = json.loads(mox("eval", f"--checkpoint_url={run}", "--json").stdout)
    lines = [json.loads(line) for line in mox("predict", f"--checkpoint_url={run}", folder, "--json", "--top_k=2").stdout.splitlines()]
    assert result["samples"] == len(lines) == count
    losses, right = [], 0
    for line in lines:
        label = pathlib.Path(line["image"]).parent.name
        losses.append(-math.log(next(c["probability"] for c in line["top"] if c["class"] == label)))
        right += line["class"] == label
    assert max(losses) - min(losses) > 0.05, "all pictures are alike to this network: nothing is told"
    assert sum(losses) / count == pytest.approx(result["loss"], abs=1e-5)
    assert right / count == pytest.approx(result["accuracy"])
    # One by one, and without an ending, files are what they are in a folder.
    one = json.loads(mox("predict", f"--checkpoint_url={run}", folder / "b/plain", "--json", "--top_k=2").stdout)
    assert one["probability"] == pytest.approx(next(l for l in lines if l["image"].endswith("/plain"))["probability"], abs=5e-6)


def test_a_picture_that_declares_too_many_pixels(data, tmp_path):
    folder, _ = data
    run = tmp_path / "run"
    mox("train", "--model_name=lenet", f"--data_url={folder}", f"--train_url={run}", "--batch_size=7", "--max_number_of_steps=1")
    (tmp_path / "huge.png").write_bytes(png(65000, 65000, 8, 2, b"\0" * 100))
    bmp = (IMAGES / "rgb24.bmp").read_bytes()
    (tmp_path / "huge.bmp").write_bytes(bmp[:18] + struct.pack("<ii", 65000, 65000) + bmp[26:])
    for name in ("huge.png", "huge.bmp"):
        failed = mox("predict", f"--checkpoint_url={run}", tmp_path / name, check=False)
        assert failed.returncode == 1 and name in failed.stderr, failed.stderr
        assert "65000x65000" in failed.stderr or "cut off" in failed.stderr


def poison(run, value):
    """The newest checkpoint with other weights in its last layer."""
    import os
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np
    import tensorflow as tf

    prefix = tf.train.latest_checkpoint(str(run))
    reader = tf.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_shape_map())
    values = {name: reader.get_tensor(name) for name in names}
    values["LeNet/fc4/weights"] = np.full_like(values["LeNet/fc4/weights"], value)
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=[values[name] for name in names])


def test_an_output_that_is_no_number_has_no_class(data, tmp_path):
    folder, count = data
    run = tmp_path / "run"
    mox("train", "--model_name=lenet", f"--data_url={folder}", f"--train_url={run}", "--batch_size=7", "--max_number_of_steps=1")
    poison(run, float("nan"))  # as older versions could leave it
    for args in ["predict", folder], ["eval"]:
        failed = mox(args[0], f"--checkpoint_url={run}", *args[1:], check=False)
        assert failed.returncode == 1 and "LeNet/fc4/weights holds nan" in failed.stderr and failed.stdout == ""
    poison(run, 3e38)  # a number, but what comes out is none
    failed = mox("predict", f"--checkpoint_url={run}", folder, check=False)
    assert failed.returncode == 1 and "the network's output is nan" in failed.stderr and failed.stdout == ""
    failed = mox("eval", f"--checkpoint_url={run}", check=False)
    assert failed.returncode == 1 and f"no number for {count} of {count} samples" in failed.stderr and failed.stdout == ""
