"""cmake --install, then a project of somebody else finds and uses what was installed."""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MOX_BUILD", ROOT / "build/release"))


def run(*args, **kwargs):
    done = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=300, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_outside_project_builds_and_runs(tmp_path):
    prefix, project = tmp_path / "prefix", tmp_path / "outside"
    run("cmake", "--install", BUILD, "--prefix", prefix)
    shutil.copytree(ROOT / "tests/install/outside", project)
    shutil.copy(ROOT / "examples/mnist_softmax.cc", project / "train.cc")
    run("cmake", "-S", project, "-B", project / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", project / "build", "-j", "2")
    assert run(project / "build/files", tmp_path / "file.txt") == "outside\n"
    log = run(project / "build/train", f"--train_url={tmp_path / 'run'}", "--steps=200")
    assert "step: 100(global step: 100)" in log
    assert (tmp_path / "run/1/saved_model.pb").exists()
    # The installed program finds its command library and TensorFlow.
    assert run(prefix / "bin/mox", "nets", "lenet")
