"""What the manual shows, in scripts of our own for TensorFlow 1: each with `python -m moxing.v1` and with `mox script`."""
import re
import sys

import pytest

import stores
from pictures import encode, plain_image
from test_scripts import MOX, SCRIPTS, v1

pytest.importorskip("tf_slim")
pytest.importorskip("tf_keras")
WAYS = {"python": (sys.executable, "-m", "moxing.v1"), "mox": (MOX, "script")}


@pytest.fixture(params=WAYS)
def run(request):
    if request.param == "mox" and not MOX.exists():
        pytest.skip("the program is not built")

    def run_script(name, *words, **changes):
        done = v1(SCRIPTS / "manual" / name, *words, start=WAYS[request.param], MOX_PYTHON=sys.executable, **changes)
        assert done.returncode == 0, done.stderr
        return done

    return run_script


def test_files(run, tmp_path):
    pytest.importorskip("pandas")
    with stores.Store("fake_store", tmp_path / "store") as store:
        env = {"MOX_AK": stores.ACCESS, "MOX_SK": stores.SECRET, "MOX_SERVER": f"http://127.0.0.1:{store.port}"}
        (tmp_path / "local").mkdir()
        done = run("files.py", tmp_path / "local", **env)
    assert done.stdout == "shift File duplicate not exists resp mk_dir functions remove examples logging bytes\n"
    assert "hello world" in done.stderr  # on the console, too


def test_training(run, mnist_dir, tmp_path):
    done = run("training.py", f"--data_url={mnist_dir}", f"--train_url={tmp_path}/run")
    assert done.stdout.splitlines()[-1] == "steps 60 export 1 accuracy True"
    lines = re.findall(r"^step: (\d+)\(global step: \d+\)\tsample/sec: [\d.]+\tloss: [\d.]+\taccuracy: [\d.]+$", done.stderr, re.MULTILINE)
    assert [int(step) for step in lines] == [*range(0, 60, 10)] * 2


def test_transfer_learning(run, folders, tmp_path):
    done = run("flowers.py", f"--data_url={folders}", f"--train_url={tmp_path}/run", "--batch_size=4", "--image_size=16", "--model_name=resnet_v1_20")
    assert done.stdout.splitlines()[-1] == "steps 3 dtypes ['float32', 'int64']"
    # Nothing of it is in the second run's way, which starts from the first one's checkpoint without its last layer.
    done = run("flowers.py", f"--data_url={folders}", f"--train_url={tmp_path}/next", f"--checkpoint_url={tmp_path}/run", "--batch_size=4", "--image_size=16",
               "--model_name=resnet_v1_20")
    assert re.search(r"loaded \d+ of \d+ variables from checkpoint .*; left out by the patterns: .*logits", done.stderr), done.stderr


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    base = tmp_path_factory.mktemp("multilabel")
    for name in ("images", "labels"):
        (base / name).mkdir()
    for i in range(4):
        (base / f"images/{i}.png").write_bytes(encode(plain_image(i % 3, 12, 10)))
        (base / f"labels/{i}.png.txt").write_text("cat\ndog" if i else "dog")
    return base


def test_data(run, folders, records, labelled):
    assert run("data.py", folders, records, labelled).stdout.endswith("all data\n")


def test_models(run, tmp_path):
    pytest.importorskip("pandas")
    assert run("models.py", tmp_path).stdout.endswith("all models\n")


def test_running(run, mnist_dir, tmp_path):
    done = run("running.py", mnist_dir, tmp_path)
    assert done.stdout.endswith("all runs\n")
    steps = re.findall(r"^\[EarlyStopping\] step: (\d+) accuracy: [\d.]+$", done.stderr, re.MULTILINE)
    assert [int(step) for step in steps][:3] == [4, 9, 14]  # after each epoch of 250 samples
