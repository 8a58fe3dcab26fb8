"""What a label means is one rule: train, eval, predict, report and export name a class alike, also with an offset, on another
split, and when a training goes on."""

import json
import random
import shutil

import pytest

from program import mox
from png_files import write_png

COLOURS = {"blue": 40, "green": 130, "red": 220}  # told apart by brightness


def pictures(folder, names, count=12, seed=1):
    import numpy as np
    numbers = random.Random(seed)
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            noise = np.array([numbers.randint(-20, 20) for _ in range(784)]).reshape(28, 28)
            write_png(folder / name / f"{i}.png", (COLOURS.get(name, 90) + noise).astype(np.uint8))


def train(data, run, *more, steps=60, check=True):
    return mox("train", "--model_name=lenet", f"--data_url={data}", f"--train_url={run}", "--batch_size=12", f"--max_number_of_steps={steps}",
               "--channels=1", "--seed=1", "--optimizer=adam", "--learning_rate_strategy=100:0.001", *more, check=check)


def evaluate(run, *more):
    return json.loads(mox("eval", f"--checkpoint_url={run}", "--json", *more).stdout)


def predicted(run, *inputs):
    lines = mox("predict", f"--checkpoint_url={run}", *inputs, "--json").stdout.splitlines()
    return [json.loads(line)["class"] for line in lines]


def names_in(path):
    return [line.split(": ", 1)[1] for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """folders/train/COLOUR, folders/eval/COLOUR; the same as records whose label 0 is the class background, without samples."""
    root = tmp_path_factory.mktemp("labels")
    for split, count in (("train", 16), ("eval", 4)):
        pictures(root / "folders" / split, COLOURS, count, seed=len(split))
        shutil.copytree(root / "folders" / split, root / "with" / split)
        (root / "with" / split / "background").mkdir()
        mox("data", "convert", root / "with" / split, root / "records" / split)
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Trained on folders."""
    folder = tmp_path_factory.mktemp("labels_run") / "run"
    train(data / "folders", folder)
    assert evaluate(folder)["accuracy"] == 1
    return folder


@pytest.fixture(scope="module")
def offset_run(data, tmp_path_factory):
    """Trained on the records 1 to 3, of which the network's classes are 0 to 2."""
    folder = tmp_path_factory.mktemp("labels_offset") / "run"
    train(data / "records", folder, "--labels_offset=1", "--export_model=TF_SERVING")
    return folder


def test_an_offset_names_each_class_alike_everywhere(data, offset_run, tmp_path):
    assert names_in(offset_run / "labels.txt") == list(COLOURS)
    assert names_in(offset_run / "1/assets/labels.txt") == list(COLOURS)
    assert evaluate(offset_run)["accuracy"] == 1
    assert json.loads((offset_run / "eval.json").read_text())["classes"] == list(COLOURS)
    mox("report", offset_run, f"--output_url={tmp_path / 'report.html'}")
    page = (tmp_path / "report.html").read_text()
    assert ">blue<" in page and ">background<" not in page
    for name in COLOURS:
        assert predicted(offset_run, data / "folders/eval" / name) == [name] * 4
    exported = mox("export", f"--checkpoint_url={offset_run}", f"--export_url={tmp_path}").stdout.strip()
    assert names_in(tmp_path / "1/assets/labels.txt") == list(COLOURS) and exported == str(tmp_path / "1")
    # By name, the same pictures are the same classes without an offset.
    assert evaluate(offset_run, f"--data_url={data / 'folders'}")["accuracy"] == 1


def test_a_run_of_an_older_version_with_the_names_of_all_labels(data, offset_run, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(offset_run, old)
    (old / "labels.txt").write_text("0: background\n1: blue\n2: green\n3: red\n")
    assert predicted(old, data / "folders/eval/red") == ["red"] * 4
    assert evaluate(old)["accuracy"] == 1
    train(data / "records", old, "--labels_offset=1", steps=62)
    assert names_in(old / "labels.txt") == list(COLOURS)


def test_records_without_names_are_called_by_their_labels(data, tmp_path):
    shutil.copytree(data / "records", tmp_path / "records")
    for split in ("train", "eval"):
        (tmp_path / "records" / split / "labels.txt").unlink()
    train(tmp_path / "records", tmp_path / "run", "--labels_offset=1", "--num_classes=3")
    assert names_in(tmp_path / "run/labels.txt") == ["1", "2", "3"]
    assert evaluate(tmp_path / "run")["accuracy"] == 1
    assert predicted(tmp_path / "run", data / "folders/eval/red") == ["3"] * 4
    assert evaluate(tmp_path / "run", f"--data_url={data / 'records'}")["accuracy"] == 1  # which have names


@pytest.mark.parametrize("flags, expected", [
    (["--labels_offset=1", "--num_classes=2"], "expected num_classes 3"),
    (["--num_classes=3"], "expected num_classes 4"),
    (["--labels_offset=2", "--num_classes=2"], ": label 1, class 'blue', expected 2 to 3"),
    (["--labels_offset=4"], "no class is left"),
])
def test_records_out_of_range_are_not_trained(data, tmp_path, flags, expected):
    failed = train(data / "records", tmp_path / "run", *flags, check=False)
    assert failed.returncode in (1, 2) and expected in failed.stderr
    assert not list((tmp_path / "run").glob("model.ckpt-*"))


def test_labels_beyond_the_classes_of_records_without_names(data, tmp_path):
    shutil.copytree(data / "records/train", tmp_path / "records")
    (tmp_path / "records/labels.txt").unlink()
    failed = train(tmp_path / "records", tmp_path / "run", "--num_classes=3", check=False)
    assert failed.returncode == 1 and "label 3, expected 0 to 2" in failed.stderr and ".tfrecord" in failed.stderr


def test_class_folders_begin_at_0(data, tmp_path):
    failed = train(data / "folders", tmp_path / "run", "--labels_offset=1", check=False)
    assert failed.returncode in (1, 2)
    assert "the label of 'blue' would be -1, which cannot be trained" in failed.stderr
    failed = train(data / "folders", tmp_path / "run", "--num_classes=2", check=False)
    assert failed.returncode == 2 and "expected num_classes 3" in failed.stderr
    failed = mox("train", "--model_name=lenet", "--dataset_name=fashion_mnist", "--data_url=/usr/share/datasets/fashion-mnist",
                 f"--train_url={tmp_path / 'run'}", "--labels_offset=1", "--max_number_of_steps=2", check=False)
    assert failed.returncode == 2 and "the label of 'T-shirt/top' would be -1" in failed.stderr


def test_an_evaluation_finds_classes_by_name(run, tmp_path):
    """A split that lacks a class, and one that lists them in another order."""
    pictures(tmp_path / "fewer", ["green", "red"], 4)
    result = evaluate(run, f"--data_url={tmp_path / 'fewer'}")
    assert (result["samples"], result["accuracy"]) == (8, 1)
    saved = json.loads((run / "eval.json").read_text())
    assert saved["classes"] == list(COLOURS) and [sum(row) for row in saved["confusion"]] == [0, 4, 4]
    pictures(tmp_path / "turned", COLOURS, 4)
    (tmp_path / "turned/labels.txt").write_text("0: red\n1: green\n2: blue\n")
    assert evaluate(run, f"--data_url={tmp_path / 'turned'}")["accuracy"] == 1
    mox("data", "convert", tmp_path / "turned", tmp_path / "records")
    assert evaluate(run, f"--data_url={tmp_path / 'records'}")["accuracy"] == 1


def test_an_evaluation_of_a_class_that_the_run_has_not(run, tmp_path):
    pictures(tmp_path / "more", [*COLOURS, "cyan"], 4)  # cyan is the second folder
    failed = mox("eval", f"--checkpoint_url={run}", f"--data_url={tmp_path / 'more'}", check=False)
    assert failed.returncode in (1, 2)
    assert "class 'cyan', is none of the run's classes: 'blue', 'green', 'red'" in failed.stderr
    assert str(tmp_path / "more/cyan") in failed.stderr
    for picture in (tmp_path / "more/cyan").iterdir():  # without samples it does no harm
        picture.unlink()
    assert evaluate(run, f"--data_url={tmp_path / 'more'}")["accuracy"] == 1


def test_a_training_goes_on_with_its_classes_alone(data, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(data / "folders/train", tmp_path / "data")
    (tmp_path / "data/red").rename(tmp_path / "data/ruby")
    failed = train(tmp_path / "data", tmp_path / "run", steps=61, check=False)
    assert failed.returncode == 2 and "the run alone has 'red', the data alone has 'ruby'" in failed.stderr
    pictures(tmp_path / "data", ["red"])  # and ruby, a class more
    failed = train(tmp_path / "data", tmp_path / "run", steps=61, check=False)
    assert failed.returncode == 2 and "the data alone has 'ruby'" in failed.stderr
    shutil.rmtree(tmp_path / "data/ruby")
    (tmp_path / "data/labels.txt").write_text("0: red\n1: green\n2: blue\n")
    assert "taken by their names" in train(tmp_path / "data", tmp_path / "run", steps=90).stderr
    assert names_in(tmp_path / "run/labels.txt") == list(COLOURS)
    assert evaluate(tmp_path / "run", f"--data_url={data / 'folders'}")["accuracy"] == 1


def test_a_new_training_has_nothing_of_an_old_list(data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/labels.txt").write_text("0: red\n1: green\n2: blue\n")  # its checkpoints were removed
    train(data / "folders", tmp_path / "run", steps=2)
    assert names_in(tmp_path / "run/labels.txt") == list(COLOURS)


def test_data_without_names_has_none_of_a_removed_run(data, tmp_path):
    mox("data", "convert", data / "folders/train", tmp_path / "records")
    (tmp_path / "records/labels.txt").unlink()
    train(data / "folders", tmp_path / "run", steps=2)
    for path in [tmp_path / "run/checkpoint", *(tmp_path / "run").glob("model.ckpt-*")]:
        path.unlink()
    train(tmp_path / "records", tmp_path / "run", "--num_classes=3", steps=2)
    assert not (tmp_path / "run/labels.txt").exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own/labels.txt").write_text("0: x\n1: y\n2: z\n")  # no run's: the user's names for such data
    train(tmp_path / "records", tmp_path / "own", "--num_classes=3", steps=2)
    assert names_in(tmp_path / "own/labels.txt") == ["x", "y", "z"]


def test_a_run_without_a_list_is_told(data, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/labels.txt").unlink()
    assert "no labels.txt" in mox("eval", f"--checkpoint_url={tmp_path / 'run'}").stderr
    assert "no labels.txt" in train(data / "folders", tmp_path / "run", steps=61).stderr
    assert "no labels.txt" not in mox("eval", f"--checkpoint_url={run}").stderr


def test_a_run_keeps_its_names_when_the_data_has_none(data, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    mox("data", "convert", data / "folders/train", tmp_path / "records")
    (tmp_path / "records/labels.txt").unlink()
    train(tmp_path / "records", tmp_path / "run", "--num_classes=3", "--export_model=TF_SERVING", steps=61)
    assert names_in(tmp_path / "run/1/assets/labels.txt") == names_in(tmp_path / "run/labels.txt") == list(COLOURS)
