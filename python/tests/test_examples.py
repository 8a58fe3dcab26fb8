"""The manual's scripts, as users run them."""
import json
import pathlib
import re
import subprocess
import sys

import numpy as np

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def run_example(name, *args):
    done = subprocess.run([sys.executable, EXAMPLES / name, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_getting_started(mnist_dir, tmp_path):
    args = [f"--data_url={mnist_dir}", f"--train_url={tmp_path}"]
    lines = run_example("getting_started.py", *args, "--steps=41")
    assert "Running will end at step: 41" in lines
    steps = [line for line in lines if line.startswith("step: ")]
    assert len(steps) == 5
    for i, line in enumerate(steps):
        n = 10 * i
        assert re.fullmatch(rf"step: {n}\(global step: {n}\)\tsample/sec: \d+\.\d{{3}}\tloss: \d+\.\d{{3}}\taccuracy: \d\.\d{{3}}", line)
    assert (tmp_path / "model.ckpt-41.index").exists()
    assert (tmp_path / "1" / "saved_model.pb").exists()
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged[1]["step"] == 10 and logged[1]["loss"] > 0

    lines = run_example("getting_started.py", *args, "--steps=60")
    assert f"log_dir has checkpoint {tmp_path}/model.ckpt-41: going on from it" in lines
    assert any(line.startswith("step: 0(global step: 41)") for line in lines)
    assert (tmp_path / "2" / "saved_model.pb").exists()


def test_mnist_softmax_learns(mnist_dir, tmp_path):
    for kind in ("generator", "dataset"):
        lines = run_example("mnist_softmax.py", f"--data_url={mnist_dir}", f"--train_url={tmp_path / kind}", "--steps=201", f"--input={kind}")
        losses = [float(line.split("loss: ")[1]) for line in lines if line.startswith("step: ")]
        assert np.isclose(losses[0], np.log(10), atol=1e-3)
        assert losses[-1] < 0.1, kind


def test_dcgan_improves(tmp_path):
    """Judged without the discriminator: the mean and the spread of each pixel come close to the real images'."""
    lines = run_example("dcgan.py", f"--train_url={tmp_path}", "--steps=201")
    distances = [float(line.split("distance: ")[1]) for line in lines if line.startswith("step: ")]
    assert distances[-1] < 0.75 * distances[0]
