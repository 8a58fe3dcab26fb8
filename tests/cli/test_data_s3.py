"""`mox data convert | stat | preview | split` on a real object store (versitygw), and on local folders the same."""
import json
import os
import shutil
import struct

import pytest
import stores
from program import ROOT, mox

IMAGES = ROOT / "tests/data/images"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """(folder of the bucket s3://data, environment that leads to it)."""
    root = tmp_path_factory.mktemp("store")
    with stores.Store("versitygw", root) as server:
        (root / "data").mkdir()
        yield root / "data", server.env


@pytest.fixture(params=["local", "s3"])
def place(request, store, tmp_path):
    """(folder on disk, its URL for mox, environment): an empty place of the test's own."""
    folder, env = store
    if request.param == "local":
        return tmp_path, str(tmp_path), dict(os.environ)
    name = request.node.name.split("[")[0]
    (folder / name).mkdir()
    return folder / name, f"s3://data/{name}", env


def write_classes(folder, per_class=5):
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for i in range(per_class):
            # Behind its end a JPEG may have anything: every file is another one.
            (folder / label / f"{i}.jpg").write_bytes((IMAGES / "baseline.jpg").read_bytes() + f"{label}{i}".encode())


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_convert_and_back(place):
    folder, url, env = place
    write_classes(folder / "src")
    assert mox("data", "convert", f"{url}/src", f"{url}/records", "--num_shards=2", env=env).stdout == "10 samples in 2 files, 0 broken left out\n"
    assert sorted(p.name for p in (folder / "records").iterdir()) == ["labels.txt", "train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"]
    for pattern in (["--file_pattern=train-*"], []):
        stat = json.loads(mox("data", "stat", f"{url}/records", *pattern, "--json", env=env).stdout)
    assert stat["samples"] == 10 and [c["count"] for c in stat["classes"]] == [5, 5]
    mox("data", "convert", f"{url}/records", f"{url}/back", "--to=folders", "--file_pattern=train-*", env=env)
    for words in (["src", "records", "--num_shards=3"], ["records", "back", "--to=folders", "--file_pattern=train-*"]):
        again = mox("data", "convert", f"{url}/{words[0]}", f"{url}/{words[1]}", *words[2:], env=env, check=False)
        assert again.returncode == 2 and f"folder {url}/{words[1]} " in again.stderr and "overwrite" in again.stderr
    assert "in 3 files" in mox("data", "convert", f"{url}/src", f"{url}/records", "--num_shards=3", "--overwrite", env=env).stdout
    assert len(list((folder / "records").iterdir())) == 4  # the two old files are gone
    mox("data", "convert", f"{url}/records", f"{url}/back", "--to=folders", "--overwrite", env=env)
    back = files_of(folder / "back")
    assert back.pop("labels.txt") == b"0: cat\n1: dog\n"
    assert back == files_of(folder / "src")


def test_stat_counts_and_names_what_is_broken(place):
    folder, url, env = place
    write_classes(folder / "src")
    whole = mox("data", "stat", f"{url}/src", env=env).stdout
    assert "10 images" in whole and "JPEG: 10" in whole and "broken: 0" in whole
    (folder / "src/dog/empty.jpg").write_bytes(b"")
    (folder / "src/cat/text.jpg").write_text("no image")
    (folder / "src/cat/half.jpg").write_bytes((IMAGES / "baseline.jpg").read_bytes()[:300])
    done = mox("data", "stat", f"{url}/src", "--json", env=env, check=False)
    assert done.returncode == 1, done.stderr
    broken = {b["path"]: b["reason"] for b in json.loads(done.stdout)["broken"]}
    assert sorted(broken) == [f"{url}/src/cat/half.jpg", f"{url}/src/cat/text.jpg", f"{url}/src/dog/empty.jpg"]
    assert "empty" in broken[f"{url}/src/dog/empty.jpg"] and "not an image" in broken[f"{url}/src/cat/text.jpg"]
    refused = mox("data", "convert", f"{url}/src", f"{url}/records", env=env, check=False)
    assert refused.returncode == 1 and f"{url}/src/cat/" in refused.stderr
    assert "3 broken" in mox("data", "convert", f"{url}/src", f"{url}/records", "--max_broken_samples=3", env=env).stdout


def test_split(place):
    folder, url, env = place
    write_classes(folder / "src")
    assert mox("data", "split", f"{url}/src", f"{url}/parts", "--split=train=0.8,eval=0.2", env=env).stdout == "eval: 2 images\ntrain: 8 images\n"
    parts = {part: {k: v for k, v in files_of(folder / "parts" / part).items() if k != "labels.txt"} for part in ("train", "eval")}
    assert not parts["train"].keys() & parts["eval"].keys()
    assert parts["train"] | parts["eval"] == files_of(folder / "src")
    again = mox("data", "split", f"{url}/src", f"{url}/parts", env=env, check=False)
    assert again.returncode == 2 and "overwrite" in again.stderr
    mox("data", "split", f"{url}/src", f"{url}/parts", "--overwrite", env=env)


def test_preview(place):
    folder, url, env = place
    write_classes(folder / "src")
    options = ["--model_name=resnet_v1_50", f"--output_url={url}/grid.png", "--rows=2", "--columns=3", "--image_size=64", "--seed=1"]
    assert mox("data", "preview", f"--data_url={url}/src", *options, env=env).stdout == f"{url}/grid.png\n"
    first = (folder / "grid.png").read_bytes()
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", first[16:24])
    assert width >= 3 * 64 and height >= 2 * 64
    mox("data", "preview", f"--data_url={url}/src", *options, env=env)
    assert (folder / "grid.png").read_bytes() == first  # seeded
    mox("data", "convert", f"{url}/src", f"{url}/records", env=env)
    mox("data", "preview", f"--data_url={url}/records", *options, env=env)
    assert (folder / "grid.png").read_bytes() != first  # the same images in another order
    assert struct.unpack(">II", (folder / "grid.png").read_bytes()[16:24]) == (width, height)
    # The folder that mox train takes: the part that training sees.
    (folder / "parts").mkdir()
    (folder / "src").rename(folder / "parts/train")
    mox("data", "preview", f"--data_url={url}/parts", *options, env=env)
    assert (folder / "grid.png").read_bytes() == first
    missing = mox("data", "stat", f"{url}/parts", env=env, check=False)
    assert missing.returncode == 1 and "class folders train; where these are parts" in missing.stderr


def test_what_is_not_there(place):
    folder, url, env = place
    for words in (["stat", f"{url}/none"], ["convert", f"{url}/none", f"{url}/out"], ["split", f"{url}/none", f"{url}/out"],
                  ["preview", "--model_name=lenet", f"--data_url={url}/none", f"--output_url={url}/x.png"]):
        done = mox("data", *words, env=env, check=False)
        assert done.returncode == 1 and f"{url}/none" in done.stderr, (words, done.stderr)
    assert not (folder / "out").exists() and not (folder / "x.png").exists()


def test_a_bucket_that_denies_access(store):
    folder, env = store
    write_classes(folder / "denied")
    done = mox("data", "stat", "s3://data/denied", env=dict(env, AWS_SECRET_ACCESS_KEY="wrong"), check=False)
    assert done.returncode == 1 and "s3://data/denied" in done.stderr and "403" in done.stderr
    shutil.rmtree(folder / "denied")
