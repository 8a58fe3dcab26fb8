"""mox --version, and a TensorFlow that does not fit or cannot be found."""

import json
import os
import pathlib
import subprocess
import sys

from program import MOX, ROOT, mox

VERSION = next(line.split('"')[1] for line in (ROOT / "include/moxing/version.h").read_text().splitlines() if line.startswith("#define MOXING_VERSION"))


def test_the_version():
    assert mox("--version").stdout == f"mox {VERSION}\n"
    assert "--jason" in mox("--version", "--jason", check=False).stderr


def test_the_versions_of_all_that_it_works_with():
    facts = json.loads(mox("--version", "--json", env={**os.environ, "MOX_PYTHON": sys.executable}).stdout)
    assert facts["mox"] == VERSION
    assert facts["python"] == {"version": "%d.%d.%d" % sys.version_info[:3], "program": sys.executable}
    assert facts["tensorflow"]["built_for"].startswith("2.21.") and facts["tensorflow"]["version"] == facts["tensorflow"]["built_for"]
    assert os.path.exists(facts["tensorflow"]["folder"] + "/libtensorflow_cc.so.2")
    assert set(facts["cpu"]["features"]) <= {"sse4.2", "avx", "avx2", "fma", "avx512f", "avx512vnni", "avx512bf16"}
    with_flags = " avx2 " in pathlib.Path("/proc/cpuinfo").read_text()
    assert ("avx2" in facts["cpu"]["features"]) == with_flags


def test_tensorflow_where_it_is_said_to_be(tmp_path):
    done = mox("nets", "lenet", check=False, env={**os.environ, "TENSORFLOW_DIR": str(tmp_path)})
    assert done.returncode == 1
    assert f"TENSORFLOW_DIR is '{tmp_path}', which has no libtensorflow_cc.so.2; give the folder of the Python package" in done.stderr
    folder = json.loads(mox("--version", "--json").stdout)["tensorflow"]["folder"]
    assert "lenet: " in mox("nets", "lenet", env={**os.environ, "TENSORFLOW_DIR": folder}).stdout


def test_another_release_is_told_before_it_is_loaded(tmp_path):
    for path in ("tensorflow", "tensorflow_cpu-2.20.0.dist-info"):
        (tmp_path / path).mkdir()
    (tmp_path / "tensorflow/libtensorflow_cc.so.2").touch()
    env = {**os.environ, "TENSORFLOW_DIR": str(tmp_path / "tensorflow")}
    done = mox("nets", "lenet", check=False, env=env)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert f"the TensorFlow in {tmp_path}/tensorflow is 2.20.0, MoXing is built for 2.21.0: pip install tensorflow-cpu==2.21.0" in done.stderr
    assert json.loads(mox("--version", "--json", env=env).stdout)["tensorflow"]["version"] == "2.20.0"


FAKE = """
import sys, types
fake = types.ModuleType("tensorflow")
fake.__path__, fake.__file__ = ["/elsewhere/keras/api", "/elsewhere/tensorflow"], "/elsewhere/tensorflow/__init__.py"
compat, v1 = types.ModuleType("tensorflow.compat"), types.ModuleType("tensorflow.compat.v1")
compat.__path__ = []
fake.compat, compat.v1, v1.__version__ = compat, v1, sys.argv[1]
sys.modules.update({"tensorflow": fake, "tensorflow.compat": compat, "tensorflow.compat.v1": v1})
try:
    import moxing.tensorflow
except ImportError as e:
    print(e)
"""


def test_python_with_another_tensorflow():
    env = {**os.environ, "PYTHONPATH": str(MOX.parents[1] / "python")}
    done = subprocess.run([sys.executable, "-c", FAKE, "2.19.1"], env=env, capture_output=True, text=True)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 1
    assert f"moxing {VERSION} is built for TensorFlow 2.21." in done.stdout
    assert "found 2.19.1 in /elsewhere/tensorflow; pip install tensorflow-cpu==2.21.0" in done.stdout


def test_python_without_tensorflow():
    code = "import sys; sys.modules['tensorflow'] = None\nimport moxing.file\ntry:\n    import moxing.tensorflow\nexcept ImportError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(MOX.parents[1] / "python")},
                          capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.startswith("moxing.tensorflow needs TensorFlow 2.21: ")
