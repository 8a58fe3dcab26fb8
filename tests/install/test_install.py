"""cmake --install, then a project of somebody else finds and uses what was installed, and extends it by plugins."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
from pictures import class_folders

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MOX_BUILD", ROOT / "build/release"))
PAGE = (ROOT / "docs/adding.md").read_text()
WALK, DOCS = PAGE[PAGE.index("## A network of your own"):PAGE.index("## Inside")], PAGE[PAGE.index("## Outside"):]


def blocks(language):
    return [textwrap.dedent(block) for block in re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.M | re.S)]


def run(*args, code=0, **kwargs):
    done = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=500, **kwargs)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    path = tmp_path_factory.mktemp("install") / "prefix"
    run("cmake", "--install", BUILD, "--prefix", path)
    return path


@pytest.fixture(scope="module")
def project(prefix, tmp_path_factory):
    """Built with the commands of docs/adding.md, of which the first block begins with two of CMake."""
    path = tmp_path_factory.mktemp("project") / "outside"
    shutil.copytree(ROOT / "tests/install/outside", path)
    commands = blocks("sh")[0].splitlines()[:2]
    assert all(command.startswith("cmake ") for command in commands)
    run("bash", "-ec", "\n".join(commands), cwd=path, env={**os.environ, "PREFIX": str(prefix), "CMAKE_BUILD_PARALLEL_LEVEL": "2"})
    return path


@pytest.fixture(scope="module")
def readme_project(prefix, tmp_path_factory):
    """README's CMake file, word by word, with its example."""
    path = tmp_path_factory.mktemp("readme")
    readme = (ROOT / "README.md").read_text()
    [snippet] = re.findall(r"^```cmake\n(.*?)^```", readme, re.M | re.S)
    (path / "CMakeLists.txt").write_text(snippet)
    shutil.copy(ROOT / "examples/mnist_softmax.cc", path / "train.cc")
    [commands] = re.findall(r"^    (cmake -B build .*)$", readme, re.M)
    run("bash", "-ec", commands, cwd=path, env={**os.environ, "PREFIX": str(prefix)})
    return path


@pytest.fixture
def mox(prefix, project):
    def call(*args, code=0, **env):
        path = f"{prefix}/bin:{os.environ['PATH']}"
        return run(prefix / "bin/mox", *args, code=code, cwd=project, env={**os.environ, "PATH": path, **env})
    return call


MINE, MEMORY = "--plugin=build/libmine.so", "--plugin=build/libmemory_files.so"


def test_an_outside_project_builds_and_runs(prefix, project, readme_project, tmp_path):
    assert run(project / "build/files", tmp_path / "file.txt") == "outside\n"
    log = run(readme_project / "build/train", f"--train_url={tmp_path / 'run'}", "--steps=200")
    assert "step: 100(global step: 100)" in log
    assert (tmp_path / "run/1/saved_model.pb").exists()
    # The installed program finds its command library and TensorFlow.
    assert run(prefix / "bin/mox", "nets", "lenet")


def test_pkg_config(prefix, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed (scripts/setup.d/70-install-test.sh)")
    env = {**os.environ, "PKG_CONFIG_PATH": str(next(prefix.rglob("moxing.pc")).parent)}
    run("bash", "-ec", f"c++ {ROOT}/tests/install/outside/files.cc -o files $(pkg-config --cflags --libs moxing_file)", cwd=tmp_path, env=env)
    assert run(tmp_path / "files", tmp_path / "file.txt") == "outside\n"
    flags = run("pkg-config", "--cflags", "--libs", "moxing", env=env)
    folder = re.search(r"-isystem (\S+)/include", flags)[1]
    assert os.path.exists(f"{folder}/include/tensorflow/core/public/session.h") and os.path.exists(f"{folder}/libtensorflow_cc.so.2")
    assert "-std=c++20" in flags and "libmoxing.so.0" in flags
    assert (prefix / "share/doc/moxing/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_what_the_docs_show_is_what_is_built(project):
    sources = {"cpp": "".join((project / name).read_text() for name in ["mine.cc", "memory_files.cc", "conformance.cc"]),
               "cmake": (project / "CMakeLists.txt").read_text()}
    for language, source in sources.items():
        shown = blocks(language)
        assert shown
        for block in shown:
            for part in re.split(r"^…\n", block, flags=re.M):  # "…" stands for what is left out
                assert part.strip("\n") in source, part


def test_the_commands_of_the_docs(prefix, project):
    commands = blocks("sh")[0].splitlines()[2:]
    out = run("bash", "-ec", "\n".join(commands), cwd=project, env={**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}"})
    assert "tiny: 8x8x1 images" in out
    assert "step: 30\tepoch: " in out
    assert "hello from memory\n" in out
    assert "[  PASSED  ]" in out  # the file system's conformance
    assert (project / "run/checkpoint").exists()


def test_what_a_plugin_brings_is_listed_where_the_others_are(mox):
    train = ["train", MINE, "--model_name=tiny", "--dataset_name=stripes", "--data_url=.", "--train_url=none"]
    assert mox("nets", MINE).splitlines()[-1].startswith("tiny ")
    assert re.search("there are: alexnet_v2, .*, tiny$", mox("nets", MINE, "nope", code=2))
    assert re.search("there are: .*imagenet, stripes$", mox(*train, "--dataset_name=nope", code=2))
    assert re.search("there are: adadelta, .*sgd, sign_descent$", mox(*train, "--optimizer=nope", code=2))
    assert re.search("there are: .*centered, cifarnet,.* tiny,", mox(*train, "--preprocessing_name=nope", code=2))
    assert "known are s3, obs, mem, file" in mox("file", "ls", MEMORY, "gs://x/y", code=2)
    assert "there is no network 'tiny'" in mox("nets", "tiny", code=2)
    assert "tiny: 8x8x1" in mox("nets", "tiny", MOX_PLUGINS="build/libmine.so:build/libmemory_files.so")
    assert "tiny: 8x8x1" in mox("launch", "--workers=1", MINE, "--", "mox", "nets", "tiny")


def test_the_walk_from_an_empty_folder_to_a_trained_network(prefix, tmp_path):
    """All blocks of the page's first part: files are written, commands are run in one shell."""
    class_folders(tmp_path / "photos", 8)
    commands = []
    for language, title, block in re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', WALK, re.M | re.S):
        if title:
            with open(tmp_path / title, "a") as file:
                file.write(block)
        else:
            assert language == "sh"
            commands.append(block)
    assert len(commands) == 3
    out = run("bash", "-ec", "".join(commands), cwd=tmp_path, env={**os.environ, "PREFIX": str(prefix), "PATH": f"{prefix}/bin:{os.environ['PATH']}"})
    assert "1235496 parameters" in out and "SqueezeNet/fire9/expand_3x3/weights" in out
    assert re.search(r"done: step 20\b", out) and re.search(r"accuracy: [0-9.]+", out) and "daisy" in out
    # What stands below for the tree: an entry more in what tests/nets compares with, and no other one changed.
    nets = tmp_path / "clone/tests/nets"
    shutil.copytree(ROOT / "tests/nets", nets)
    before = json.loads((nets / "expected/networks.json").read_text())
    run(sys.executable, nets / "make_expected.py", "squeezenet", f"--mox={prefix}/bin/mox", cwd=tmp_path,
        env={**os.environ, "MOX_PLUGINS": "build/libsqueezenet.so"})
    after = json.loads((nets / "expected/networks.json").read_text())
    assert after.pop("squeezenet")["parameters"] == 1235496 and after == before
    assert list(after) == list(before)


@pytest.mark.parametrize("library, expected", [
    ("libno_plugin.so", "this library is no plugin: it has no function mox_plugin; say MOX_PLUGIN"),
    ("libother_version.so", r"it was built with MoXing 0\.0\.9; build it with the headers of this MoXing, \d"),
    ("libtaken_name.so", r"the plugin .*libtaken_name\.so registers a file system for the scheme 's3', but there is one of MoXing"),
    ("libmissing_symbol.so", "undefined symbol: .*gone_in_this_version.*; build it with the headers of this MoXing"),
])
def test_libraries_that_are_refused(mox, library, expected):
    assert re.search(f"^mox file: .*{expected}", mox("file", "ls", f"--plugin=build/{library}", ".", code=2))


def test_a_plugin_that_is_not_there(mox):
    assert "plugin 'build/none.so': there is no such file" in mox("nets", "--plugin", "build/none.so", code=1)
    assert "--plugin is empty, expected the path of a library" in mox("nets", "--plugin", code=2)


def test_a_folder_of_a_plugins_file_system_holds_a_training(mox):
    train = ["train", MINE, MEMORY, "--model_name=tiny", "--dataset_name=stripes", "--data_url=.", "--train_url=mem://runs/1",
             "--batch_size=16", "--max_number_of_steps=20", "--log_every_n_steps=0", "--export_model=TF_SERVING", "--json"]
    out = mox(*train)
    assert '"checkpoint":"mem://runs/1/model.ckpt-20"' in out.replace(" ", "")
    assert '"export_dir":"mem://runs/1/1"' in out.replace(" ", "")


PYTHON = """
import sys
import moxing.tensorflow as mox
import tensorflow.compat.v1 as tf

for library in sys.argv[1:]:
    mox.load_plugin(library)
    mox.load_plugin(library)
assert mox.NetworkKeys.TINY == "tiny" and mox.PreprocessingKeys.TINY == "centered"
assert mox.get_dataset_meta("stripes").class_names == ["upright", "level"]

def input_fn(mode):
    data = mox.get_dataset("stripes", "train", ".", seed=1)
    image, label = data.get(["image", "label"])
    return mox.get_data_augmentation_fn("tiny", mode)(image), label

def model_fn(inputs, mode):
    logits, _ = mox.get_model_fn("tiny", mode, 2)(inputs[0])
    loss = tf.losses.sparse_softmax_cross_entropy(inputs[1], logits)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), inputs[1]), tf.float32))
    return mox.ModelSpec(loss=loss, log_info={"loss": loss, "accuracy": accuracy})

done = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sign_descent", 0.01),
               run_mode=mox.ModeKeys.TRAIN, batch_size=16, auto_batch=True, log_dir="mem://python/run",
               max_number_of_steps=40, log_every_n_steps=10)
assert done.metrics["accuracy"] == 1, done
assert tf.train.load_checkpoint("mem://python/run").get_tensor("global_step") == 40
assert mox.file.read("mem://demo/hello.txt") == "hello from memory\\n"
assert "model.ckpt-40.index" in mox.file.list_directory("mem://python/run")
with mox.file.File("mem://python/new", "w") as f:
    f.write("text")
assert tf.io.gfile.GFile("mem://python/new").read() == "text"
try:
    mox.load_plugin(sys.argv[1].replace("libmine", "libtaken_name"))
except mox.InvalidArgumentError as e:
    print(e)
"""


def test_python_uses_the_same_plugins(project):
    # The folder that TensorFlow was built with: what the plugin is linked to is what Python has loaded already.
    out = run(sys.executable, "-c", PYTHON, project / "build/libmine.so", project / "build/libmemory_files.so",
              env={**os.environ, "PYTHONPATH": str(BUILD / "python")})
    assert "registers a file system for the scheme 's3', but there is one of MoXing already" in out


def test_python_without_tensorflow_takes_file_systems(project):
    code = ("import sys, moxing as mox; mox.file.load_plugin(sys.argv[1]); print(mox.file.read('mem://demo/hello.txt'));"
            "assert 'tensorflow' not in sys.modules")
    assert "hello from memory" in run(sys.executable, "-c", code, project / "build/libmemory_files.so",
                                      env={**os.environ, "PYTHONPATH": str(BUILD / "python")})


BETWEEN_STORAGES = """
import os, sys
import moxing as mox

mf, disk = mox.file, sys.argv[2]
mf.load_plugin(sys.argv[1])
tree = ["a", "d", "d/b", "d/e", "d/e/c", "empty"]
os.makedirs(disk + "/src/d/e")
os.makedirs(disk + "/src/empty")
for name in ["a", "d/b", "d/e/c"]:
    mf.write(disk + "/src/" + name, "of " + name)
assert mf.copy_parallel(disk + "/src", "mem://x/dst").files == 3
assert mf.list_directory("mem://x/dst", recursive=True) == tree
assert mf.sync(disk + "/src", "mem://x/dst").files == 0
assert mf.copy_parallel("mem://x/dst", disk + "/back").files == 3
assert mf.sync("mem://x/dst", disk + "/back").files == 0
mf.write(disk + "/back/a", "OF a")
mf.write(disk + "/back/extra", "1")
done = mf.sync("mem://x/dst", disk + "/back", delete_extra=True)
assert (done.files, done.deleted, mf.read(disk + "/back/a")) == (1, 1, "of a")
mf.rename(disk + "/back", "mem://x/moved")
assert not os.path.exists(disk + "/back") and mf.list_directory("mem://x/moved", recursive=True) == tree
mf.rename("mem://x/moved", disk + "/again")
assert not mf.exists("mem://x/moved") and mf.list_directory(disk + "/again", recursive=True) == tree
mf.rename(disk + "/again/a", "mem://x/")
mf.append_remote("mem://x/a", disk + "/again/d/b")
mf.append_remote(disk + "/again/d/b", "mem://x/a")
assert mf.read("mem://x/a") == "of aof d/bof a"
mf.rename("mem://x/a", "mem://x/dst")  # into the folder
mf.rename("mem://x/dst/d", "mem://y/d")
assert mf.list_directory("mem://x/dst") == ["a", "empty"] and mf.read("mem://y/d/e/c") == "of d/e/c"
mf.write("mem://z/f/../../evil", "evil")
mf.write("mem://z/f/ok", "ok")
for refused in [lambda: mf.copy_parallel("mem://z/f", disk + "/out"), lambda: mf.rename("mem://z/f", "mem://z/f/g"),
                lambda: mf.copy_parallel("mem://z", "mem://z/f"), lambda: mf.remove("mem://z", recursive=True)]:
    try:
        refused()
    except mox.errors.Error as e:
        print(e)
    else:
        raise AssertionError("not refused")
assert os.listdir(disk + "/out") == ["ok"] and not os.path.exists(disk + "/evil")
mf.remove("mem://z", recursive=True, bucket=True)
assert not mf.exists("mem://z")
mf.shift("os", "mox")
assert os.listdir("mem://y/d") == ["b", "e"] and open("mem://y/d/b").read() == "of d/b"
"""


def test_files_go_between_a_plugins_storage_and_the_disk(project, tmp_path):
    out = run(sys.executable, "-c", BETWEEN_STORAGES, project / "build/libmemory_files.so", tmp_path,
              env={**os.environ, "PYTHONPATH": str(BUILD / "python")})
    assert "the name leads outside of the destination folder" in out
