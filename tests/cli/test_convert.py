"""mox convert: weights of another library, and then mox predict and mox train on what it made."""
import json
import os
import pathlib
import sys

import numpy as np
import pytest

from program import ROOT, mox

sys.path.insert(0, str(ROOT / "python/tests"))
ENV = {**os.environ, "MOX_PYTHON": sys.executable}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from test_convert_weights import resnet_18, safetensors, values
    folder = tmp_path_factory.mktemp("weights")
    return safetensors(folder / "resnet18.safetensors", {name: values(name, shape) for name, shape in resnet_18().items()})


def test_convert_and_predict(weights, tmp_path):
    done = mox("convert", weights, tmp_path / "run", env=ENV)
    assert done.stdout == f"resnet_v15_18, 10 classes: 102 variables of PyTorch -> {tmp_path}/run/model.ckpt\n"
    np.save(tmp_path / "images.npy", np.random.RandomState(1).randint(0, 256, (2, 64, 64, 3), np.uint8))
    done = mox("predict", f"--checkpoint_url={tmp_path}/run", "--image_size=64", "--top_k=3", "--json", tmp_path / "images.npy")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2 and all(len(row["top"]) == 3 and row["top"][0]["label"] < 10 for row in rows)


def test_usage(weights, tmp_path):
    assert "Makes a checkpoint of ours" in mox("convert", "--help", env=ENV).stdout
    for words, code, message in (((), 2, "the following arguments are required"), ((weights, tmp_path / "run", "--clases=3"), 2, "--clases=3"),
                                 ((tmp_path / "missing.pth", tmp_path / "run"), 1, "there is no file"),
                                 ((weights, tmp_path / "run", "--model_name=resnet_v1_50"), 2, "is a resnet_v15_18 of PyTorch")):
        done = mox("convert", *words, check=False, env=ENV)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
    bare, packages = tmp_path / "bare", tmp_path / "packages"
    bare.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    packages.mkdir()
    numpy = list(pathlib.Path(np.__file__).parents[1].glob("numpy*"))
    for installed, message in (([], "lacks numpy: "), (numpy, "cannot convert: moxing.tensorflow needs TensorFlow ")):
        for path in installed:
            (packages / path.name).symlink_to(path)
        done = mox("convert", weights, tmp_path / "run", check=False, env={**ENV, "MOX_PYTHON": str(bare)})
        assert done.returncode == 1 and message in done.stderr and "MOX_PYTHON" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not pathlib.Path(tmp_path / "run").exists()
