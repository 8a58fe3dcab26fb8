"""How public scripts use MoXing, in scripts of our own: each in the style of the group of docs/old_scripts.md that names it."""
import sys

import pytest

import stores
from test_scripts import SCRIPTS, v1

STYLES = SCRIPTS / "styles"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with stores.Store("fake_store", tmp_path_factory.mktemp("store")) as started:
        yield {"MOX_AK": stores.ACCESS, "MOX_SK": stores.SECRET, "MOX_SERVER": f"http://127.0.0.1:{started.port}"}


@pytest.mark.parametrize("way", ["python", "moxing.v1"])
@pytest.mark.parametrize("name", ["adapter", "shifted", "framework_file", "callback", "frames"])
def test_files_alone(store, tmp_path, name, way):
    """Scripts of other frameworks: Python itself runs them, and so does `mox script`."""
    if name == "frames":
        pytest.importorskip("pandas")
    bucket = f"s3://{name}-{way.replace('.', '-')}"
    make = "import moxing as mox, sys; mox.file.make_dirs(sys.argv[1])"
    assert v1("-c", make, bucket, start=(sys.executable,), **store).returncode == 0
    start = (sys.executable,) if way == "python" else (sys.executable, "-m", "moxing.v1")
    done = v1(STYLES / f"{name}.py", tmp_path, f"{bucket}/run", *(["v1"] if way == "moxing.v1" else []), start=start, **store)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{name} ok"


@pytest.mark.parametrize("kind, package", [("cv2", "cv2"), ("hdf", "tables"), ("parquet", "pyarrow"), ("orc", "pyarrow"), ("xml", "pandas"),
                                           ("feather", "pyarrow"), ("pickle", "pandas"), ("json", "pandas")])
def test_tables_and_pictures_of_libraries(store, tmp_path, kind, package):
    for name in ("pandas", package):
        pytest.importorskip(name)
    make = "import moxing as mox, sys; mox.file.make_dirs(sys.argv[1])"
    assert v1("-c", make, f"s3://tables-{kind}", start=(sys.executable,), **store).returncode == 0
    done = v1(STYLES / "libraries.py", tmp_path, f"s3://tables-{kind}", kind, **store)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "libraries ok\n"


@pytest.mark.parametrize("name", ["notebook", "records", "search", "synced_hook"])
def test_trainings_on_a_store(store, tmp_path, name):
    pytest.importorskip("tf_slim")
    pytest.importorskip("tf_keras")
    bucket = f"s3://{name.replace('_', '-')}"
    make = "import moxing as mox, sys; mox.file.make_dirs(sys.argv[1])"
    assert v1("-c", make, bucket, start=(sys.executable,), **store).returncode == 0
    done = v1(STYLES / f"{name}.py", tmp_path, f"{bucket}/run", cwd=tmp_path, **store)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{name} ok"


def test_a_session_on_a_store(store, tmp_path):
    make = "import moxing as mox, sys; mox.file.make_dirs(sys.argv[1])"
    assert v1("-c", make, "s3://session", start=(sys.executable,), **store).returncode == 0
    done = v1(STYLES / "session_obs.py", "--data_url=s3://session/data", "--train_url=s3://session/run", **store)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "session_obs ok\n"


@pytest.mark.parametrize("optimizer", ["dymomentum", "dymomentumw", "momentum"])
def test_a_benchmark_with_all_flags(tmp_path, optimizer):
    pytest.importorskip("tf_keras")
    words = ["--worker_hosts=", "--task_index=0", "--job_name=worker", "--num_gpus=1", "--dgc_sparsity_strategy=", "--loss_scale=1",
             "--num_inter_threads=2", "--all_reduce_alg=pscpu"]
    done = v1(STYLES / "hyper_flags.py", f"--train_url={tmp_path}/run", f"--optimizer={optimizer}", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "hyper_flags 20"


def test_all_modes_in_one_script(tmp_path):
    pytest.importorskip("tf_slim")
    done = v1(STYLES / "several_modes.py", f"--train_url={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "several_modes 200 True True"


@pytest.mark.parametrize("text, message", [
    ("import moxing.mxnet as mox", "moxing.mxnet is not provided"),
    ("from moxing.framework.data import manifest_metadata", "moxing.framework.data"),
    ("import moxing.pytorch as mox", "moxing.pytorch is not provided"),
])
def test_engines_that_are_not_there_say_what_is(tmp_path, text, message):
    (tmp_path / "train.py").write_text(text + "\n")
    done = v1(tmp_path / "train.py")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert message in last and "nearest" in last, done.stderr
