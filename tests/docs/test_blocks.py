"""The code blocks of README and the guides: each is run or compiled, here or by another test, or says in the line before it why not."""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import stores
from pictures import class_folders, encode

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MOX_BUILD", ROOT / "build/release"))
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(BUILD / "python"), "MOX_PYTHON": sys.executable,
               "PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}"}
NOT_RUN = 10  # blocks that say why; one more is to be thought about

# Pages, or blocks by their first line, that another test runs as they are.
ELSEWHERE = {
    ("adding.md", ""): "tests/install/test_install.py", ("README.md", "cmake_minimum"): "tests/install/test_install.py",
    ("start.md", ""): "tests/docs/test_start.py", ("README.md", "mox train --model_name=mobilenet"): "tests/docs/test_start.py",
    ("slurm.md", ""): "tests/cli/test_cluster_pages.py", ("mpi.md", ""): "tests/cli/test_cluster_pages.py",
    ("kubernetes.md", "apiVersion"): "tests/cli/test_cluster_pages.py",
    ("distributed.md", "export MOX_CLUSTER_TOKEN"): "tests/cli/test_cluster_pages.py",
    ("distributed.md", "mox launch --hosts"): "tests/cli/test_cluster_pages.py",
}
# What makes a block fit a test: shorter, and on data that is here.
SHORTER = [("DIR", str(FASHION)), ("--max_number_of_steps=3600", "--max_number_of_steps=6"), ("--max_number_of_steps=1410", "--max_number_of_steps=6"),
           ("--max_number_of_steps=500", "--max_number_of_steps=6"), ("--max_number_of_steps=200", "--max_number_of_steps=6"),
           ("mox eval ", "mox eval --max_number_of_steps=2 "), ("/tmp/", ""), ("max_number_of_steps=1000", "max_number_of_steps=6"),
           ("s3://data/flowers", "photos"),  # where data of another page lie
           ("--model_name=resnet_v1_50 --data_url=FLOWERS", "--model_name=mobilenet_v1_025 --image_size=64 --batch_size=8 --data_url=photos"),
           ("--max_number_of_steps=2000", "--max_number_of_steps=6")]


class Block:
    def __init__(self, page, language, reason, code, line):
        self.page, self.language, self.reason, self.code, self.line = page, language, reason, code, line
        self.place = f"{page}:{line}"

    def elsewhere(self):
        return next((test for (page, begin), test in ELSEWHERE.items() if page == self.page and self.code.startswith(begin)), None)


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks():
    for path in PAGES:
        text = path.read_text()
        for found in re.finditer(r"(?:^<!-- not run: (.*) -->\n)?^```(.*)\n((?:.*\n)*?)```$", text, re.M):
            yield Block(path.name, found[2].partition(" ")[0], found[1], found[3], text[:found.start()].count("\n") + 1)


ALL = list(blocks())


def here(*languages):
    """{page: its blocks of these languages that are run here}."""
    pages = {}
    for block in ALL:
        if block.language in languages and not block.reason and not block.elsewhere():
            pages.setdefault(block.page, []).append(block)
    return pages


def test_every_block_is_run_or_says_why():
    known = {"sh", "python", "cpp", "cmake", "yaml", "text", ""}
    assert {block.language for block in ALL} <= known
    commands = [block.place for block in ALL if not block.language and re.match(r"(mox|python|pip|make|cmake) ", block.code)]
    assert not commands, "commands in a fence without a language are run by no test: say sh"
    indented = [f"{path.name}: {line}" for path in PAGES for line in path.read_text().splitlines()
                if re.match(r"    (mox|python|pip|make|cmake) ", line) and "cmake -B build -DCMAKE_PREFIX_PATH=$PREFIX" not in line]  # tests/install runs it
    assert not indented, "commands that are indented are run by no test: use a fence"
    nowhere = [block.place for block in ALL if block.language in ("cmake", "yaml") and not block.reason and not block.elsewhere()]
    assert not nowhere, "neither run nor does the line before say `<!-- not run: why -->`"
    assert len([block for block in ALL if block.reason]) == NOT_RUN
    used = {block.elsewhere() for block in ALL if block.elsewhere()}
    assert used == set(ELSEWHERE.values())
    for (page, _), test in ELSEWHERE.items():
        assert page in (ROOT / test).read_text(), f"{test} does not read {page}"
    assert len(ALL) > 45 and sum(map(len, here("sh", "python", "cpp").values())) > 15


def run(*command, cwd, **environment):
    done = subprocess.run(list(map(str, command)), cwd=cwd, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def shortened(code):
    for long, short in SHORTER:
        code = code.replace(long, short)
    return code


@pytest.fixture
def folder(tmp_path):
    """What the blocks speak of: photos of classes, a picture, a folder of pictures, a training of the recipes' network."""
    class_folders(tmp_path / "photos", 6)
    (tmp_path / "train.py").write_text("import tensorflow as tf\nassert tf.__version__ == '1.15.5' and tf.contrib.slim\n")
    picture = encode(np.random.default_rng(1).integers(0, 255, [28, 28, 1], np.uint8))
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "photo.png", tmp_path / "folder/1.png"):
        path.write_bytes(picture)
    return tmp_path


PYTHON_BEFORE = {"optimizers.md": "import tensorflow.compat.v1 as tf\nimport moxing.tensorflow as mox\nrate = 0.1\n"}  # what a page takes for granted
PYTHON_AFTER = {  # calls what a page's blocks define alone
    "python.md": "with tf.Graph().as_default():\n    image, label = input_fn('TRAIN')\n    assert image.shape.rank == 4 and label.shape.rank == 1\n",
    "optimizers.md": "with tf.Graph().as_default():\n    assert optimizer_fn()\n",
    "notebooks.md": "assert len(mox.history('notebook_run')) > 3 and result.metrics['accuracy'] > 0.8\n",
}


@pytest.fixture
def store(tmp_path):
    """The environment of a store, without a bucket."""
    with stores.Store("fake_store", tmp_path / "store") as server:
        yield {name: value for name, value in server.env.items() if name.startswith("AWS_")}


@pytest.mark.parametrize("page", here("sh", "python"))
def test_a_page_from_its_top_to_its_end(page, folder, store):
    """Commands block by block; Python's blocks are one program, at the place of the first."""
    of = here("sh", "python")[page]
    if any("IMAGENET_RUN" in block.code for block in of):
        run("mox", "train", "--model_name=mobilenet_v1_025", "--image_size=64", "--batch_size=8", "--data_url=photos", "--train_url=IMAGENET_RUN",
            "--max_number_of_steps=2", cwd=folder)
    program = "\n".join(block.code for block in of if block.language == "python")
    for block in of:
        if block.language == "sh":
            run("bash", "-ec", shortened(block.code), cwd=folder, **store)
        elif program:
            (folder / "page.py").write_text(PYTHON_BEFORE.get(page, "") + shortened(program) + "\n" + PYTHON_AFTER.get(page, ""))
            run(sys.executable, "page.py", cwd=folder, **store)
            program = ""


CPP_BEFORE = """
#include "moxing/moxing.h"
#include "tensorflow/cc/ops/standard_ops.h"
using namespace mox;
using tensorflow::Output;
"""
# What the blocks of the guides take for granted.
GIVEN = ("const Scope& scope, ModeKeys mode, int num_classes, const Output& images, int64_t num_samples, RunOptions& options, "
         "const std::unique_ptr<Dataset>& dataset, const LearningRate& rate")


def test_cpp_is_compiled(tmp_path):
    """One function a page, with what an example of the tree is compiled with."""
    functions = []
    for page, of in here("cpp").items():
        code = "".join(re.sub(r"^#include.*\n", "", block.code, flags=re.M) for block in of)
        name = re.sub(r"\W", "_", page)
        functions.append(f"void page_{name}({GIVEN}) {{\n  {{\n#line {of[0].line + 1} \"{page}\"\n{code}\n  }}\n}}\n")
    assert len(functions) > 3
    (tmp_path / "pages.cc").write_text(CPP_BEFORE + "\n".join(functions))
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    command = next(entry["command"] for entry in commands if entry["file"].endswith("examples/mnist_softmax.cc"))
    command = shlex.split(re.sub(r" -o \S+ -c \S+$", " -fsyntax-only pages.cc", command))
    run(*(part for part in command if part != "ccache"), cwd=tmp_path)
