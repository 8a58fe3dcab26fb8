"""`mox data preview` of built-in data sets; the cache of a training that was killed."""
import os
import shutil
import struct
import subprocess
import time

import pytest
from program import DATA, MOX, mox
from test_data_s3 import IMAGES, store, write_classes  # noqa: F401


@pytest.mark.parametrize("name", ["fashion_mnist", "flowers"])
def test_preview_of_a_built_in_data_set(tmp_path, name):
    data_url = DATA
    if name == "flowers":
        for label in ("daisy", "dandelion", "roses", "sunflowers", "tulips"):
            (tmp_path / "src" / label).mkdir(parents=True)
            (tmp_path / "src" / label / "1.jpg").write_bytes((IMAGES / "baseline.jpg").read_bytes())
        data_url = tmp_path / "records"
        mox("data", "convert", tmp_path / "src", data_url)
        (data_url / "train-00000-of-00001.tfrecord").rename(data_url / "flowers_train_00000-of-00005.tfrecord")
    mox("data", "preview", "--model_name=lenet", f"--dataset_name={name}", f"--data_url={data_url}", f"--output_url={tmp_path}/grid.png",
        "--rows=1", "--columns=5")
    assert (tmp_path / "grid.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def cached_paths(cache):
    """The paths whose whole entries a cache folder has."""
    paths = set()
    for entry in cache.glob("mox-cache/??/*"):
        content = entry.read_bytes()
        size = struct.unpack("<Q", content[8:16])[0]
        paths.add(content[32:32 + size].decode().split("\n")[0])
    return paths


def test_a_training_that_is_killed_leaves_a_cache_to_the_next_one(store, tmp_path):
    folder, env = store
    write_classes(folder / "cached", per_class=100)
    train = [MOX, "train", "--model_name=lenet", "--data_url=s3://data/cached", f"--cache_dir={tmp_path / 'cache'}", "--batch_size=4",
             "--max_number_of_steps=100000", "--learning_rate_strategy=100000:0.00001", f"--train_url={tmp_path / 'a'}"]
    with subprocess.Popen(train, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 300
        while len(list(tmp_path.glob("cache/mox-cache/??/*"))) < 20:
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        running.kill()
    cached = cached_paths(tmp_path / "cache")
    assert len(cached) >= 20
    for path in cached:  # objects of the same size and time: only who reads them again sees what they are now
        file = folder / path.removeprefix("s3://data/")
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        file.write_bytes(b"x" * file.stat().st_size)
        os.utime(file, ns=times)
    again = [word.replace("=100000", "=60").replace(f"{tmp_path / 'a'}", f"{tmp_path / 'b'}") for word in map(str, train[1:])]
    assert "damaged" not in mox(*again, env=env).stderr  # 240 samples: every image
    shutil.rmtree(folder / "cached")
