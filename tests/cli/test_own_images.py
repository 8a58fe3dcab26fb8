"""mox train and eval on the user's own images: class folders and TFRecord files, without --dataset_name."""

import json
import pathlib
import struct

import numpy as np
import pytest

from program import DATA, mox

NAMES = ["t-shirt", "trouser", "pullover"]


def train(pictures, run, *more):
    return mox("train", "--model_name=lenet", f"--data_url={pictures}", f"--train_url={run}", "--batch_size=32",
               "--max_number_of_steps=80", "--channels=1", "--seed=1", "--optimizer=adam",
               "--learning_rate_strategy=10:0.001", *more)


def evaluate(run, *more):
    return json.loads(mox("eval", f"--checkpoint_url={run}", "--json", *more).stdout)


def test_class_folders(pictures, tmp_path):
    train(pictures, tmp_path / "run")
    # The classes are the folders in the order of their bytes, kept beside the checkpoint.
    assert (tmp_path / "run/labels.txt").read_text().split() == ["0:", "pullover", "1:", "t-shirt", "2:", "trouser"]
    result = evaluate(tmp_path / "run")
    assert result["split"] == "eval"
    assert result["samples"] == sum(1 for _ in (pictures / "eval").rglob("*.png"))
    assert result["accuracy"] > 0.7
    table = mox("predict", f"--checkpoint_url={tmp_path / 'run'}", pictures / "eval/trouser").stdout.splitlines()[1:]
    assert sum(line.split()[-1] == "trouser" for line in table) > 0.8 * len(table)


def test_one_call_decodes_a_batch(pictures, tmp_path):
    words = ["train", "--model_name=resnet_v1_18", "--image_size=32", f"--data_url={pictures}", f"--train_url={tmp_path / 'run'}", "--batch_size=4",
             "--max_number_of_steps=1", "--running_log_level=debug"]
    assert "input: and a batch in one call" in mox(*words).stderr


def test_data_are_listed_once_a_command(pictures, tmp_path):
    """Each listing tells what it leaves out, and counting the records of many files what is broken in them."""
    import shutil
    shutil.copytree(pictures / "train", tmp_path / "data")
    (tmp_path / "data/trouser/notes.txt").write_text("no image")
    more = ["--max_number_of_steps=1", "--validation_split=0.2", "--eval_every_n_epochs=1"]
    assert train(tmp_path / "data", tmp_path / "a", *more).stderr.count("entries are left out") == 1
    mox("data", "convert", pictures / "train", tmp_path / "records", "--num_shards=2")
    with next((tmp_path / "records").glob("*.tfrecord")).open("ab") as f:
        f.write(b"cut off")
    told = train(tmp_path / "records", tmp_path / "b", "--max_number_of_steps=1", "--max_broken_samples=1").stderr
    assert told.count("counting samples: ") == 1


def test_a_folder_without_splits_and_records(pictures, tmp_path):
    records = tmp_path / "records"
    mox("data", "convert", pictures / "train", records)
    train(records, tmp_path / "run")
    result = evaluate(tmp_path / "run")  # no folder eval: the data that there is
    assert result["split"] == "all" and result["trained_on"] and result["samples"] == sum(1 for _ in (pictures / "train").rglob("*.png"))
    assert result["accuracy"] > 0.7
    assert evaluate(tmp_path / "run", f"--data_url={pictures}")["split"] == "eval"


def test_broken_images_count(pictures, tmp_path):
    import shutil
    shutil.copytree(pictures / "train", tmp_path / "data/train")
    broken = tmp_path / "data/train/trouser/broken.png"
    broken.write_bytes(b"no image")
    failed = mox("train", "--model_name=lenet", f"--data_url={tmp_path / 'data'}", f"--train_url={tmp_path / 'a'}", "--batch_size=32",
                 "--max_number_of_steps=80", "--channels=1", check=False)
    assert failed.returncode == 1 and str(broken) in failed.stderr
    done = train(tmp_path / "data", tmp_path / "b", "--max_broken_samples=1")
    assert str(broken) in done.stderr


def test_errors(tmp_path):
    for args, what in [([f"--data_url={tmp_path / 'nowhere'}"], "does not exist"), ([], "--data_url is needed"),
                       ([f"--data_url={pathlib.Path(DATA).parent}", "--channels=2"], "--channels")]:
        failed = mox("train", "--model_name=lenet", f"--train_url={tmp_path / 'run'}", *args, check=False)
        assert failed.returncode in (1, 2) and what in failed.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_is_no_pattern(pictures, tmp_path):
    """Names with * ? [ ] \\ are names, wherever the program takes a folder of data."""
    data, records = tmp_path / "b[1]c*?\\ data", tmp_path / "b[1]c*?\\ records"
    (tmp_path / "b1c data").mkdir()  # what such a pattern would match
    mox("data", "split", pictures / "train", data, "--split= train = 0.7 , eval=0.2")
    for part in ("train", "eval"):
        mox("data", "convert", data / part, records / part)
    for folder in (data, records):
        run = tmp_path / f"run[{folder.name[-4:]}]*"
        mox("train", "--model_name=lenet", f"--data_url={folder}", f"--train_url={run}", "--batch_size=32", "--image_size=28",
            "--max_number_of_steps=2", "--channels=1", "--seed=1")
        result = evaluate(run)
        assert result["split"] == "eval" and 80 < result["samples"] < 110
        mox("data", "preview", "--model_name=lenet", f"--data_url={folder}", f"--output_url={tmp_path / 'grid.png'}")
    table = mox("predict", f"--checkpoint_url={run}", data / "eval/trouser").stdout.splitlines()[1:]
    assert len(table) == len(list((data / "eval/trouser").iterdir()))


def test_classes_keep_odd_names(pictures, tmp_path):
    names = [" lead", "trail ", "1: two", "a: b", "#x", "a\nb", "\x1b[31mred", "b[1]*", "back\\slash"]
    image = next((pictures / "train/trouser").iterdir()).read_bytes()
    for name in names:
        (tmp_path / "folders" / name).mkdir(parents=True)
        (tmp_path / "folders" / name / "1.png").write_bytes(image)
    mox("data", "convert", tmp_path / "folders", tmp_path / "records")
    mox("data", "convert", tmp_path / "records", tmp_path / "back", "--to=folders")
    assert sorted(p.name for p in (tmp_path / "back").iterdir() if p.is_dir()) == sorted(names)
    for folder in ("folders", "records", "back"):
        done = mox("data", "stat", tmp_path / folder)
        assert "\x1b" not in done.stdout and "\\x1b[31mred" in done.stdout
        told = [c["name"] for c in json.loads(mox("data", "stat", tmp_path / folder, "--json").stdout)["classes"]]
        assert told == sorted(names)


def npy(shape, size, descr="<f4"):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(size)


def test_arrays_that_tell_of_more_than_they_hold(trained, tmp_path):
    """Told before memory is taken; what the header itself says wrong is in tests/tools."""
    cases = {
        "overflow": (npy("(9223372036854775807, 9223372036854775807, 3, 3)", 0), "more values than any file holds"),
        "huge": (npy("(1000000, 1000, 1000, 3)", 0), "holds 0 bytes of data, shape and type need 3000000000000 times 4"),
        "zero": (npy("(2, 0, 28, 1)", 0), "a size in its shape is 0, expected 1 to"),
        "dimensions": (npy("(" + "1, " * 255 + ")", 4), "255 dimensions, expected at most 8"),
        "three": (npy("(28, 28, 1)", 3136), "expected [N, height, width, channels]"),
        "short": (npy("(2, 28, 28, 1)", 6271), "holds 6271 bytes of data, shape and type need 1568 times 4"),
        "type": (npy("(2, 28, 28, 1)", 25088, "<c16"), "its type is '<c16'"),
        "text": (b"hello", "does not start with"),
    }
    for name, (content, what) in cases.items():
        path = tmp_path / f"{name}.npy"
        path.write_bytes(content)
        failed = mox("predict", f"--checkpoint_url={trained}", path, check=False)
        assert failed.returncode in (1, 2) and str(path) in failed.stderr and what in failed.stderr, failed.stderr
    # A header of the right size, and more bytes than there is memory: a file without its blocks.
    path = tmp_path / "sparse.npy"
    path.write_bytes(npy("(4000000000, 28, 28, 1)", 0))
    try:
        with open(path, "r+b") as f:
            f.truncate(path.stat().st_size + 4 * 28 * 28 * 4000000000)
    except OSError:
        return  # the file system has no such files
    failed = mox("predict", f"--checkpoint_url={trained}", path, check=False)
    assert failed.returncode == 2 and "1.25e+13 bytes, this machine has" in failed.stderr, failed.stderr


def test_a_cache_of_pixels(pictures, tmp_path):
    cache = tmp_path / "cache"
    train(pictures, tmp_path / "files")
    for run in ("first", "second"):
        train(pictures, tmp_path / run, f"--cache_dir={cache}", "--cache=decoded")
    results = [evaluate(tmp_path / run) for run in ("files", "first", "second")]
    assert results[0]["loss"] == pytest.approx(results[1]["loss"], rel=1e-5) == pytest.approx(results[2]["loss"], rel=1e-5)
    entries = list(cache.glob("mox-cache/??/*"))
    assert entries and all(entry.stat().st_size > 28 * 28 * 3 for entry in entries)
    new = f"--train_url={tmp_path / 'new'}"
    refused = mox("train", "--model_name=lenet", "--dataset_name=fashion_mnist", f"--data_url={DATA}", new, f"--cache_dir={cache}",
                  "--cache=decoded", check=False)
    assert refused.returncode != 0 and "--cache=decoded is for folders of images" in refused.stderr
    told = mox("train", "--model_name=lenet", f"--data_url={pictures}", new, "--cache=decoded", check=False)
    assert told.returncode != 0 and "there is no cache_dir" in told.stderr
    assert not (tmp_path / "new").exists()


def test_served_files(pictures, tmp_path):
    """The signature serving_bytes: files in, the names of their classes out, as mox predict says."""
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    def same(folder, paths, run):
        predicted = [json.loads(line) for line in mox("predict", f"--checkpoint_url={run}", "--json", *paths).stdout.splitlines()]
        loaded = tf.saved_model.load(str(folder))
        assert set(loaded.signatures) == {"serving_default", "serving_bytes"}
        served = loaded.signatures["serving_bytes"](image_bytes=tf.constant([path.read_bytes() for path in paths]))
        assert [name.decode() for name in served["class_names"].numpy()] == [line["class"] for line in predicted]
        assert served["classes"].numpy().tolist() == [line["label"] for line in predicted]
        np.testing.assert_allclose(served["probabilities"].numpy().max(1), [line["probability"] for line in predicted], atol=1e-5)

    train(pictures, tmp_path / "run", "--export_model=TF_SERVING")
    paths = sorted((pictures / "eval").rglob("*.png"))[:20]
    exported = mox("export", f"--checkpoint_url={tmp_path / 'run'}", f"--export_url={tmp_path}").stdout.strip()
    for folder in (tmp_path / "run/1", exported):
        same(folder, paths, tmp_path / "run")
    # Transparent ones, over what the training saw behind them.
    rng = np.random.default_rng(1)
    for i in range(8):
        path = tmp_path / "odd" / NAMES[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(rng.integers(0, 256, (28, 28, 1 + i % 4), np.uint8)).numpy())
    mox("train", "--model_name=lenet", f"--data_url={tmp_path / 'odd'}", f"--train_url={tmp_path / 'over'}", "--batch_size=4",
        "--max_number_of_steps=2", "--alpha=white", "--seed=1", "--export_model=TF_SERVING")
    same(tmp_path / "over/1", sorted((tmp_path / "odd").rglob("*.png")), tmp_path / "over")
