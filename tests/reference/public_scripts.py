"""Runs public scripts of MoXing for TensorFlow 1 with `python -m moxing.v1`, and prints a table of how each ends.

    python tests/reference/public_scripts.py CLONES [--limit=SECONDS]

CLONES is a folder with clones of the repositories of _SCRIPTS, named OWNER+NAME; nothing of them is kept here. Data are
made: idx files, pictures and records of the scripts' own formats. A training that is longer than the limit is stopped, and
has run when its loss was logged. Some write to /cache: run this where that may be written over. A script whose packages are
not public or not installed is read by --check instead. Not part of CI.
"""
import argparse
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python/tests"))
from idx import write_idx

_LAB = "SamAltman618+huaweicloud_ModelArts-Lab"
_EXAMPLE = "bluehalo666+modelarts-example"
_GARBAGE = "contrib/*GitLD/src_Xception*/"
_DATA = ["--data_url={mnist}", "--train_url={out}"]
# (repository, pattern of the path, flags; None: only read)
_SCRIPTS = [
    (_LAB, "docs/moxing_api_doc/scripts/train_tf_mnist.py", _DATA),
    (_LAB, "docs/moxing_api_doc/scripts/eval_tf_mnist.py", _DATA),
    (_LAB, "docs/moxing_api_doc/scripts/mox_flowers.py", ["--data_url={flowers}", "--train_url={out}", "--batch_size=8"]),
    (_LAB, "docs/moxing_api_doc/scripts/mox_flowers_advanced.py",
     ["--data_url={flowers}", "--train_url={out}", "--batch_size=8", "--model_name=mobilenet_v1_025"]),
    (_LAB, "docs/custom_image/mnist/mnist_softmax.py", _DATA),
    (_LAB, "official_examples/Using_MoXing*MNIST*/codes/train_mnist.py", _DATA),
    (_LAB, "official_examples/Using_TensorFlow*MNIST*/codes/train_mnist_tf.py", _DATA),
    (_LAB, "train_inference/MNIST*/codes/train_mnist.py", _DATA),
    (_EXAMPLE, "*MNIST*/codes/train_mnist.py", _DATA),
    (_LAB, "official_examples/*Iceberg*/codes/train_iceberg.py", ["--data_url={iceberg}", "--train_url={out}"]),
    (_EXAMPLE, "*Iceberg*/codes/train_iceberg.py", ["--data_url={iceberg}", "--train_url={out}"]),
    (_LAB, "official_examples/*Iceberg*/codes/data_format_conversion.py", None),
    (_EXAMPLE, "*Iceberg*/codes/data_format_conversion.py", None),
    (_LAB, "train_inference/image_recognition/codes/dog_and_cat_train.py", None),
    (_LAB, "docs/efficient_ai_doc/example/dcp_mnist_example.py", None),
    (_LAB, "docs/efficient_ai_doc/example/distill_mnist_example.py", None),
    (_LAB, "docs/efficient_ai_doc/example/quantize_resnet50_example.py", None),
    (_LAB, _GARBAGE + "run.py", None),
    (_LAB, _GARBAGE + "train.py", None),
    (_LAB, _GARBAGE + "eval.py", None),
    (_LAB, _GARBAGE + "save_model.py", None),
]


def _mnist(folder):
    folder.mkdir()
    rng = np.random.RandomState(1)
    for prefix, count in (("train", 6000), ("t10k", 1000)):
        labels = np.arange(count) % 10
        images = rng.randint(0, 60, (count, 28, 28))
        for image, label in zip(images, labels):
            row, column = divmod(int(label), 5)
            image[row * 14:row * 14 + 12, column * 5:column * 5 + 5] += 180
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)


def _png(path, rng):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rng.randint(0, 256, 64 * 3, np.uint8).tobytes() for _ in range(64))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def _flowers(folder):
    rng = np.random.RandomState(1)
    for name in ("daisy", "roses"):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            _png(folder / name / f"{i}.png", rng)


def _iceberg(folder):
    import tensorflow.compat.v1 as tf
    folder.mkdir()
    rng = np.random.RandomState(1)

    def numbers(values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    for part, count in (("train", 1176), ("eval", 295)):
        with tf.python_io.TFRecordWriter(str(folder / f"iceberg-{part}-{count}.tfrecord")) as writer:
            for i in range(count):
                feature = {"band_1": numbers(rng.rand(75 * 75) + i % 2), "band_2": numbers(rng.rand(75 * 75)),
                           "angle": numbers([40.0]), "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[i % 2]))}
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def _started(words, limit):
    """(exit code, None when it was stopped; what it wrote)."""
    process = subprocess.Popen([sys.executable, "-m", "moxing.v1", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace")
    try:
        text, _ = process.communicate(timeout=limit)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[0]


def _how_it_ends(path, flags, folders, limit):
    if flags is None:
        code, text = _started(["--check", str(path)], limit)
        lines = text.strip().splitlines()
        missing = sorted({line.split(": ", 1)[1] for line in lines[:-1] if not line.startswith("ok: ")})
        if code is None:
            return "read: it was stopped"
        return "read: all names are there" if code == 0 else "read: " + "; ".join(missing)
    code, text = _started([str(path), *(flag.format(**folders) for flag in flags)], limit)
    steps = len(re.findall(r"^step: ", text, re.MULTILINE))
    if code == 0:
        return f"runs ({steps} lines of the log)" if steps else "runs"
    if code is None and steps:
        return f"trains ({steps} lines of the log when it was stopped after {limit} s)"
    return "fails: " + (text.strip().splitlines() or ["it was stopped, and had logged nothing"])[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clones", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        folders = {name: work / name for name in ("mnist", "flowers", "iceberg")}
        _mnist(folders["mnist"])
        _flowers(folders["flowers"])
        _iceberg(folders["iceberg"])
        trained = work / "trained"
        print("| script | how it ends |\n|---|---|")
        for i, (repository, pattern, flags) in enumerate(_SCRIPTS):
            path = next((arguments.clones / repository).glob(pattern))
            # The evaluation reads what the script before it has trained.
            folders["out"] = trained if "tf_mnist" in path.name else work / f"out{i}"
            end = _how_it_ends(path, flags, folders, arguments.limit)
            flag = " with " + " ".join(flags[2:]) if flags and len(flags) > 2 else ""
            print(f"| {repository.replace('+', '/')}: {path.parent.parent.name}/{path.name}{flag} | {end} |", flush=True)


if __name__ == "__main__":
    main()
