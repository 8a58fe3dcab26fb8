"""docs/start.md, block by block, as a new user copies it: a folder of photographs, then the three ways."""
import os
import pathlib
import re
import subprocess
import sys

import pytest
from pictures import class_folders

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MOX_BUILD", ROOT / "build/release"))
PAGE = (ROOT / "docs/start.md").read_text()
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(BUILD / "python"), "PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}"}


README = (ROOT / "README.md").read_text()


def block(language, page=PAGE):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)[0]


def run(*command, cwd):
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """photos/, and what the first block of the page makes of it. A short training: the page's 20 epochs take longer."""
    path = tmp_path_factory.mktemp("start")
    class_folders(path / "photos", 10)
    commands = block("sh").replace("--num_epochs=20", "--num_epochs=2")
    (path / "said").write_text(run("bash", "-ec", commands, cwd=path))
    return path


def test_with_the_program(folder):
    said = (folder / "said").read_text()
    assert re.search(r"accuracy: [0-9.]+", said) and "daisy" in said
    assert (folder / "run/report.html").exists() and list(folder.glob("models/*/saved_model.pb"))
    assert len(list((folder / "photos").rglob("*.jpg"))) == 30, "photos stays as it is"


def test_the_readme_begins_so_too():
    """Its commands are the page's."""
    own_images = README[README.index("## Your own images"):]
    commands = [line.partition(" #")[0].rstrip() for line in block("sh", own_images).splitlines()]
    assert len(commands) > 4 and set(commands) <= {line.partition(" #")[0].rstrip() for line in block("sh").splitlines()}


def test_in_python(folder):
    (folder / "train.py").write_text(block("python"))
    assert "accuracy" in run(sys.executable, "train.py", cwd=folder)
    assert (folder / "run_python/checkpoint").exists()


def test_in_cpp(folder):
    prefix, project = folder / "prefix", folder / "project"
    project.mkdir()
    run("cmake", "--install", BUILD, "--prefix", prefix, cwd=folder)
    (project / "CMakeLists.txt").write_text(block("cmake"))
    (project / "train.cc").write_text(block("cpp"))
    run("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release", cwd=folder)
    run("cmake", "--build", project / "build", cwd=folder)
    assert "loss" in run(project / "build/train", cwd=folder)
    assert (folder / "run_cpp/checkpoint").exists()
