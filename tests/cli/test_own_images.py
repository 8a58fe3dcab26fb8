"""mox train and eval on the user's own images: class folders and TFRecord files, without --dataset_name."""

import gzip
import json
import pathlib
import struct
import zlib

import numpy as np
import pytest

from program import DATA, mox

NAMES = ["t-shirt", "trouser", "pullover"]


def png(path, pixels):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three classes of Fashion-MNIST as files: train/CLASS/N.png, eval/CLASS/N.png."""
    folder = tmp_path_factory.mktemp("pictures")
    with gzip.open(f"{DATA}/train-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + 2000 * 784), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(f"{DATA}/train-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + 2000), np.uint8, offset=8)
    for number, i in enumerate(np.flatnonzero(labels < 3)):
        png(folder / ("train" if number % 4 else "eval") / NAMES[labels[i]] / f"{i}.png", images[i])
    return folder


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


def test_a_folder_without_splits_and_records(pictures, tmp_path):
    records = tmp_path / "records"
    mox("data", "convert", pictures / "train", records)
    train(records, tmp_path / "run")
    result = evaluate(tmp_path / "run")  # no folder eval: the data that there is
    assert result["split"] == "" and result["samples"] == sum(1 for _ in (pictures / "train").rglob("*.png"))
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
