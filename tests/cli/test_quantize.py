"""mox export --quantize: TensorFlow Lite's models, and what they cost in accuracy; mox eval reads them."""
import json
import os
import sys

import numpy as np
import pytest
import stores

from program import mox

ENV = {**os.environ, "MOX_PYTHON": sys.executable}


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    """A LeNet on three classes."""
    run = tmp_path_factory.mktemp("quantize") / "run"
    mox("train", "--model_name=lenet", f"--data_url={pictures}", f"--train_url={run}", "--batch_size=32", "--max_number_of_steps=40",
        "--channels=1", "--seed=1", "--optimizer=adam", "--learning_rate_strategy=10:0.001")
    return run


def evaluated(url, env):
    done = mox("eval", f"--checkpoint_url={url}", "--json", env=env)
    assert "absl::InitializeLog" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(run):
    return evaluated(run, ENV)


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    """(folder on disk, its URL for mox, environment)."""
    if request.param == "local":
        yield tmp_path, str(tmp_path), ENV
        return
    with stores.Store("versitygw", tmp_path) as server:
        (tmp_path / "models").mkdir()
        yield tmp_path / "models", "s3://models", {**server.env, "MOX_PYTHON": sys.executable}


@pytest.mark.parametrize("place, to, part", [("s3", "int8", 0.3), ("local", "float16", 0.6)], indirect=["place"])
def test_quantized_models_know_what_the_network_knows(run, before, place, to, part):
    import tensorflow as tf

    folder, url, env = place
    result = json.loads(mox("export", f"--checkpoint_url={run}", f"--export_url={url}", f"--quantize={to}", "--json", env=env).stdout)
    quantized = result["quantized"]
    assert quantized["path"] == f"{result['export_dir']}/model_{to}.tflite"
    path = f"{folder}{quantized['path'].removeprefix(url)}"
    assert os.path.getsize(path) == quantized["bytes_after"]
    assert quantized["bytes_after"] < part * quantized["bytes_before"]
    after = evaluated(quantized["path"], env)
    for name, found in (("before", before), ("after", after)):
        assert (found["split"], found["samples"]) == (quantized["split"], quantized["samples"])
        assert quantized[f"accuracy_{name}"] == pytest.approx(found["accuracy"], abs=1e-6)
    assert after["model"] == quantized["path"] and "global_step" not in after
    assert before["accuracy"] > 0.7 and abs(after["accuracy"] - before["accuracy"]) < 0.03
    assert after["loss"] == pytest.approx(before["loss"], rel=0.1)
    assert [row["class"] for row in after["by_class"]] == [row["class"] for row in before["by_class"]]
    types = {tensor["dtype"] for tensor in tf.lite.Interpreter(path).get_tensor_details()}
    assert (np.int8 in types) == (to == "int8") and (np.float16 in types) == (to == "float16")
    if to == "int8":
        return
    for words, what in [(["--use_ema"], "--use_ema is for checkpoints"), (["--num_classes=4"], "the model has 3 classes, expected 4"),
                        (["--image_size=32"], "the model takes images of [height, width, channels] [28, 28, 1]")]:
        done = mox("eval", f"--checkpoint_url={path}", *words, check=False, env=env)
        assert done.returncode != 0 and what in done.stderr and "Traceback" not in done.stderr


def test_what_cannot_be_quantized_or_evaluated(run, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    without = {**os.environ, "MOX_PYTHON": str(fake)}
    words = ["export", f"--checkpoint_url={run}", f"--export_url={tmp_path / 'out'}", "--quantize=int8"]
    done = mox(*words, check=False, env=without)
    assert done.returncode != 0 and f"needs TensorFlow Lite's converter, and {fake} has none" in done.stderr
    done = mox(*words[:3], "--quantize=int4", check=False, env=ENV)
    assert done.returncode == 2 and "int8" in done.stderr
    done = mox(*words, "--data_url=", check=False, env=ENV)
    assert done.returncode == 2 and "--data_url is needed with --quantize" in done.stderr
    assert not (tmp_path / "out").exists()
    for name in ("run.json", "labels.txt"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    model = tmp_path / "model.tflite"
    model.write_bytes(b"no model")
    done = mox("eval", f"--checkpoint_url={model}", check=False, env=without)
    assert done.returncode != 0 and f"needs TensorFlow Lite's interpreter, and {fake} has none" in done.stderr
    done = mox("eval", f"--checkpoint_url={model}", check=False, env=ENV)
    assert done.returncode != 0 and f"{model} is no model of TensorFlow Lite" in done.stderr
    done = mox("eval", f"--checkpoint_url={tmp_path}/other.tflite", check=False, env=ENV)
    assert done.returncode != 0 and "other.tflite" in done.stderr
