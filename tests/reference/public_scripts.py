"""Runs public scripts of MoXing for TensorFlow 1 with `python -m moxing.v1`, and prints a table of how each ends.

    python tests/reference/public_scripts.py CLONES [--fetch] [--only=WORD] [--limit=SECONDS] [--read-all]

CLONES is a folder with clones of the repositories of _SCRIPTS, named OWNER+NAME; --fetch makes those that are missing. Nothing
of them is kept here. Data are made: idx files, pictures and records of the scripts' own formats, also in a store with the
buckets that scripts name. A training that is longer than the limit is stopped, and has run when its loss was logged. Some
write to /cache: run this where that may be written over. Some need scikit-learn, matplotlib and opencv-python-headless. A
script whose packages are not public is read by --check instead; --read-all reads every script of the clones that imports
moxing. Not part of CI.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python/tests"))
import stores
from idx import write_idx

_LAB = "SamAltman618+huaweicloud_ModelArts-Lab"
_EXAMPLE = "bluehalo666+modelarts-example"
_SECOND = "dongjbill+modelarts-example"
_FLEXIBLE = "FlexibleEngineCloud+ModelArts-Labs"
_RM = "0xFFD700-alter+rm"
_ZOO = "Ascend+ModelZoo-TensorFlow"
_GARBAGE = "contrib/*GitLD/src_Xception*/"
_THUMT = "TensorFlow/contrib/nlp/bigru/*/thumt/scripts/"
_DATA = ["--data_url={mnist}", "--train_url={out}"]
# (repository, pattern of the path, flags; None: only read). Of a notebook, its cells one after the other.
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
    (_SECOND, "*MoXing*MNIST*/codes/train_mnist.py", _DATA),
    (_SECOND, "*TensorFlow*MNIST*/codes/train_mnist_tf.py", ["--data_url={mnist}", "--train_url=s3://frozen/"]),
    (_LAB, "official_examples/*Iceberg*/codes/train_iceberg.py", ["--data_url={iceberg}", "--train_url={out}"]),
    (_EXAMPLE, "*Iceberg*/codes/train_iceberg.py", ["--data_url={iceberg}", "--train_url={out}"]),
    (_SECOND, "*Iceberg*/codes/train_iceberg.py", ["--data_url={iceberg}", "--train_url={out}"]),
    (_LAB, "official_examples/*Iceberg*/codes/data_format_conversion.py", []),
    (_EXAMPLE, "*Iceberg*/codes/data_format_conversion.py", []),
    (_SECOND, "*Iceberg*/codes/data_format_conversion.py", []),
    (_LAB, "official_examples/Using_Notebook*MNIST*/code/mnist_example.ipynb", []),
    (_FLEXIBLE, "*/Using_Notebook*MNIST*/code/mnist-test.ipynb", []),
    (_LAB, "train_inference/image_recognition/codes/dog_and_cat_train.py",
     ["--data_url={pets}", "--train_url={out}", "--max_epochs=1", "--batch_size=4"]),
    (_RM, "RM_baseline/copy_file.py", []),
    (_ZOO, _THUMT + "build_vocab.py", ["corpus.txt", "vocab.txt"]),
    (_ZOO, _THUMT + "shuffle_corpus.py", ["--corpus", "corpus.txt"]),
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


def _pets(folder):
    """Pictures of 64x64 in the archive that the script unpacks."""
    folder.mkdir()
    rng = np.random.RandomState(1)
    with tarfile.open(folder / "dog_and_cat_25000.tar.gz", "w:gz") as archive:
        for i in range(24):
            _png(folder / "one", rng)
            archive.add(folder / "one", f"data/{('cat', 'dog')[i % 2]}.{i}.jpg")


def _bands(count):
    rng = np.random.RandomState(1)
    return json.dumps([{"id": f"i{i}", "band_1": rng.randint(-300, 0, 75 * 75).tolist(), "band_2": rng.randint(-300, 0, 75 * 75).tolist(),
                        "inc_angle": "na" if i == 3 else 40.5, "is_iceberg": i % 2} for i in range(count)])


def _buckets(folder, mnist):
    """What scripts expect in the buckets that they name."""
    files = {"obs-testdata/iceberg/train.json": _bands(200), "obs-testdata/iceberg/test.json": _bands(20),
             "bi-gru/scripts/thumt/data/corpus.txt": "a b c\nb c d\nc d e\n", "2022-baseline/RM_baseline/model/": "", "frozen/": ""}
    for path in mnist.iterdir():
        for bucket in ("bucket/notebook/data", "modelarts-labs/dataset-mnist/zip-data"):
            files[f"{bucket}/{path.name}"] = path.read_bytes()
    _png(folder.parent / "digit", np.random.RandomState(1))
    for name in ("bucket/test/image_number.jpg", "modelarts-labs/dataset-mnist/data/test.jpg"):
        files[name] = (folder.parent / "digit").read_bytes()
    for name, content in files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def _as_script(path, folder):
    """A notebook's cells of code, but what only a cell may say."""
    if path.suffix != ".ipynb":
        return path
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    lines = [line for line in "\n".join(cells).splitlines() if not line.startswith(("from __future__", "%", "!"))]
    script = folder / "notebook.py"
    script.write_text("\n".join(lines))
    return script


def _started(words, limit, env=None, folder=None):
    """(exit code, None when it was stopped; what it wrote)."""
    process = subprocess.Popen([sys.executable, "-m", "moxing.v1", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", env={**os.environ, **(env or {})}, cwd=folder)
    try:
        text, _ = process.communicate(timeout=limit)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[0]


def _how_it_ends(path, flags, folders, limit, env):
    if flags is None:
        code, text = _started(["--check", str(path)], limit)
        lines = text.strip().splitlines()
        missing = sorted({line.split(": ", 1)[1] for line in lines[:-1] if not line.startswith("ok: ")})
        if code is None:
            return "read: it was stopped"
        return "read: all names are there" if code == 0 else "read: " + "; ".join(missing)
    folder = folders["here"]
    for name in ("data_test", "models"):  # what the uploading script uploads
        (folder / name).mkdir(parents=True)
        (folder / name / "model500.pth").write_text("weights")
    for name in ("config.json", "customize_service.py", "model.py"):
        (folder / name).write_text(name)
    code, text = _started([str(_as_script(path, folder)), *(flag.format(**folders) for flag in flags)], limit, env, folder)
    steps = len(re.findall(r"^step: ", text, re.MULTILINE))
    if code == 0:
        return f"runs ({steps} lines of the log)" if steps else "runs"
    if code is None and steps:
        return f"trains ({steps} lines of the log when it was stopped after {limit} s)"
    return "fails: " + (text.strip().splitlines() or ["it was stopped, and had logged nothing"])[-1]


def _fetch(clones):
    for repository in dict.fromkeys(row[0] for row in _SCRIPTS):
        folder = clones / repository
        if folder.exists():
            continue
        subprocess.run(["git", "clone", "-q", "--depth=1", "--no-checkout", "https://github.com/" + repository.replace("+", "/"), folder],
                       check=True)
        names = subprocess.run(["git", "-C", folder, "ls-tree", "-r", "--name-only", "-z", "HEAD"], capture_output=True, check=True).stdout
        scripts = b"\0".join(name for name in names.split(b"\0") if name.endswith((b".py", b".ipynb")))
        subprocess.run(["git", "-C", folder, "checkout", "-q", "HEAD", "--pathspec-from-file=-", "--pathspec-file-nul"], input=scripts,
                       check=True)


def _run_all(clones, only, limit):
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        folders = {name: work / name for name in ("mnist", "flowers", "iceberg", "pets")}
        for name, make in (("mnist", _mnist), ("flowers", _flowers), ("iceberg", _iceberg), ("pets", _pets)):
            make(folders[name])
        _buckets(work / "store", folders["mnist"])
        trained = work / "trained"
        print("| script | how it ends |\n|---|---|")
        with stores.Store("versitygw", work / "store") as store:
            env = {"MOX_AK": stores.ACCESS, "MOX_SK": stores.SECRET, "MOX_SERVER": store.endpoint, "MPLBACKEND": "Agg"}
            for i, (repository, pattern, flags) in enumerate(_SCRIPTS):
                if only not in repository + "/" + pattern:
                    continue
                path = next((clones / repository).glob(pattern)).resolve()
                # The evaluation reads what the script before it has trained.
                folders["out"] = trained if "tf_mnist" in path.name else work / f"out{i}"
                folders["here"] = work / f"here{i}"
                end = _how_it_ends(path, flags, folders, limit, env)
                flag = " with " + " ".join(flags[2:]) if flags and len(flags) > 2 else ""
                print(f"| {repository.replace('+', '/')}: {path.parent.parent.name}/{path.name}{flag} | {end} |", flush=True)


def _read_all(clones):
    counts, missing = collections.Counter(), collections.Counter()
    for path in sorted(clones.rglob("*.py")):
        if not path.is_file() or not re.search(rb"^[ \t]*(import|from) +moxing", path.read_bytes(), re.MULTILINE):
            continue
        lines = _started(["--check", str(path)], 300)[1].splitlines()
        names = {line.split(": ", 1)[1].partition(" is not provided")[0] for line in lines if " is not provided" in line}
        counts["all names are there" if not names else "names are missing"] += 1
        missing.update(names)
    print(f"\n{sum(counts.values())} scripts read: {dict(counts)}; missing: {dict(missing.most_common())}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clones", type=pathlib.Path)
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--only", default="", help="a part of the repository's name or of the script's path")
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--read-all", action="store_true")
    arguments = parser.parse_args()
    if arguments.fetch:
        _fetch(arguments.clones)
    if arguments.read_all:
        _read_all(arguments.clones)
    else:
        _run_all(arguments.clones, arguments.only, arguments.limit)


if __name__ == "__main__":
    main()
