"""Fixtures: log lines of a run, flags that go back to their defaults, a small MNIST."""
import os
import pathlib
import sys

import numpy as np
import pytest
from idx import write_idx

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "release" / "python"
if not any((pathlib.Path(p) / "moxing").is_dir() for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p):
    if BUILT.is_dir():  # else the installed package is tested
        sys.path.insert(0, str(BUILT))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BUILT), os.environ.get("PYTHONPATH")]))

WITHOUT_V2 = bool(os.environ.get("MOX_TESTS_WITHOUT_V2"))
if WITHOUT_V2:  # as scripts that call it: these tests run both ways
    import tensorflow.compat.v1 as tf
    tf.disable_v2_behavior()


def pytest_collection_modifyitems(items):
    for item in items:
        if WITHOUT_V2 and item.get_closest_marker("eager"):
            item.add_marker(pytest.mark.skip(reason="it uses TensorFlow 2's eager mode itself"))


@pytest.fixture
def mox():
    import moxing.tensorflow
    from moxing import _engine
    yield moxing.tensorflow
    _engine.reset_flags()


@pytest.fixture
def log_lines(capfd):
    """Call it for the log lines so far, without TensorFlow's own."""

    def lines():
        return [line for line in capfd.readouterr().err.splitlines() if line[:1] not in "IWE" or line.startswith("WARNING: ")]

    return lines


@pytest.fixture(scope="session")
def mnist_dir(tmp_path_factory):
    """Idx files of 600 and 200 images: each class a bright patch in its own place, with noise."""
    folder = tmp_path_factory.mktemp("mnist")
    rng = np.random.RandomState(1)
    for prefix, count in (("train", 600), ("t10k", 200)):
        labels = np.arange(count) % 10
        images = rng.randint(0, 60, (count, 28, 28))
        for image, label in zip(images, labels):
            row, column = divmod(int(label), 5)
            image[row * 14:row * 14 + 12, column * 5:column * 5 + 5] += 180
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return str(folder)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Class folders of plain PNGs; image i is 20 + i high."""
    from pictures import CLASSES, IMAGES_A_CLASS, encode, plain_image
    base = tmp_path_factory.mktemp("flowers")
    for label, name in enumerate(CLASSES):
        (base / name).mkdir()
        for i in range(IMAGES_A_CLASS):
            (base / name / f"{i}.png").write_bytes(encode(plain_image(label, 20 + i, 30)))
    return str(base)


@pytest.fixture(scope="session")
def records(folders, tmp_path_factory):
    """The same as three TFRecord files."""
    import moxing.tensorflow as mox
    base = str(tmp_path_factory.mktemp("tfrecord"))
    assert mox.folders_to_tfrecord(folders, base, num_shards=3) == (24, 3, 0)
    return base


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real object store with the bucket `python`, which mox.file uses."""
    import moxing as mox
    import stores
    with stores.Store("versitygw", tmp_path_factory.mktemp("store")) as store:
        store.use(mox.file, retry=2)
        mox.file.make_dirs("s3://python")
        yield store


@pytest.fixture
def shifted():
    """os, open and others take s3 paths, too."""
    import moxing as mox
    mox.file.shift("os", "mox")
    yield
    mox.file.shift("mox", "os")
