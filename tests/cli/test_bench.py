"""mox bench train and data: rows of devices, workers and data sets; figures that fit each other; errors before work starts."""

import json

import numpy as np
import pytest

from png_files import write_png
from program import DATA, mox

QUICK = ["--model_name=lenet", "--batch_size=4", "--steps=3", "--warmup=1"]


def bench(*args, **kwargs):
    return json.loads(mox("bench", *args, "--json", **kwargs).stdout)


def assert_rates(report):
    for row in report["rows"]:
        assert row["samples_per_second"] == pytest.approx(row["steps_per_second"] * row["batch_size"])
        assert 0 < row["least_ms"] <= row["step_ms"] <= row["most_ms"]
        assert row["cpu_ms_per_step"] > 0 and row["peak_mib"] > 50
        first, units = report["rows"][0], row["workers"] * row["devices"]
        expected = row["samples_per_second"] / units / (first["samples_per_second"] / first["workers"] / first["devices"])
        assert row["speedup"] == pytest.approx(expected)


def test_a_network_on_synthetic_images():
    report = bench("train", *QUICK)
    assert report["setup"]["input"] == "synthetic" and report["setup"]["num_classes"] == 1000
    (row,) = report["rows"]
    assert (row["workers"], row["devices"], row["batch_size"], row["speedup"]) == (1, 1, 4, 1)
    assert_rates(report)
    assert report["versions"]["tensorflow"].startswith("2.")


def test_devices_and_modes_and_the_page(tmp_path):
    page = tmp_path / "page.html"
    report = bench("train", *QUICK, "--devices=1,2", "--modes=parameter_server,replicated_host", f"--output_url={page}")
    assert [(row["variable_update"], row["devices"], row["batch_size"]) for row in report["rows"]] == [
        ("parameter_server", 1, 4), ("parameter_server", 2, 8), ("replicated_host", 1, 4), ("replicated_host", 2, 8)]
    assert_rates(report)
    text = page.read_text()
    assert "<svg" in text and "replicated_host" in text and "mox bench train" in text


def test_workers_on_a_built_in_data_set_and_the_table():
    out = mox("bench", "train", *QUICK, "--dataset_name=fashion_mnist", f"--data_url={DATA}", "--workers=1,2").stdout
    lines = out.splitlines()
    header = next(i for i, line in enumerate(lines) if "samples/second" in line)
    rows = [line.split() for line in lines[header + 1:header + 3]]
    assert [row[1:4] for row in rows] == [["1", "1", "4"], ["2", "1", "8"]]
    assert "input: fashion_mnist" in lines and "num_classes: 10" in lines


def test_a_row_that_cannot_be_measured_does_not_lose_the_others():
    done = mox("bench", "train", *QUICK, "--modes=distributed_replicated,auto", "--sync_replicas=false", "--json", check=False)
    lost, measured = json.loads(done.stdout)["rows"]
    assert done.returncode == 1 and "1 worker, 1 device, distributed_replicated: failed with exit code 2" in done.stderr
    assert lost["samples_per_second"] is None and lost["speedup"] is None
    assert measured["samples_per_second"] > 0 and measured["speedup"] == 1


@pytest.mark.parametrize("args, words", [
    (["--devices=0"], "--devices has 0, expected whole numbers from 1 to"),
    (["--devices=1,x"], "--devices has 'x'"),
    (["--workers=1.5"], "--workers has 1.5"),
    (["--modes=fast"], "variable_update"),
    (["--model_name=lenett"], "lenet"),
    (["--steps=0"], "--steps"),
    (["--data_url=/nowhere"], "/nowhere"),
    (["--dataset_name=fashion_mnist"], "--data_url is needed"),
    (["--worker_hosts=127.0.0.1:4000,127.0.0.1:4001", "--devices=1,2"], "give --workers=2"),
])
def test_wrong_words_are_told_before_anything_is_trained(args, words):
    done = mox("bench", "train", *QUICK, *args, check=False)
    assert done.returncode != 0 and words in done.stderr and not done.stdout


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    for i in range(60):
        write_png(folder / f"images/{i % 3}/{i}.png", np.full((28, 28), 4 * i, np.uint8))
    mox("data", "convert", folder / "images", folder / "records", "--num_shards=2")
    return folder


def test_data_sets_with_and_without_a_cache(pictures, tmp_path):
    report = bench("data", f"--data_url={pictures}/images", f"--tfrecord_url={pictures}/records", "--image_size=32",
                   "--batch_size=8", f"--cache_dir={tmp_path}", f"--output_url={tmp_path}/page.html")
    rows = {(row["row"], row["cache"]): row for row in report["rows"]}
    names = ["bytes", "images", "augmented", "tfrecord", "tfrecord_augmented"]
    caches = {name: ("none", "encoded", "decoded") if name in ("images", "augmented") else ("none", "encoded") for name in names}
    assert list(rows) == [(name, cache) for name in names for cache in caches[name]]
    for row in rows.values():
        assert 40 <= row["images"] <= 80
        assert row["images_per_second"] > 0 and row["images_per_cpu_second"] > 0 and row["peak_mib"] >= report["setup"]["mib_before"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_one_row_as_a_table(pictures):
    lines = mox("bench", "data", f"--data_url={pictures}/images", "--rows=bytes", "--batch_size=4").stdout.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("row"))
    assert lines[header + 1].split()[:2] == ["bytes", "none"] and "images/second" in lines[header]


@pytest.mark.parametrize("args, words", [
    ([], "--data_url or --tfrecord_url is needed"),
    (["--data_url=/nowhere"], "/nowhere"),
    (["--data_url=.", "--rows=pixels"], "--rows has 'pixels', expected some of bytes, images"),
    (["--data_url=.", "--caches=encoded"], "which needs --cache_dir"),
    (["--data_url=.", "--caches=some", "--cache_dir=."], "--caches has 'some', expected some of none, encoded"),
    (["--data_url=.", "--rows=tfrecord"], "needs --tfrecord_url"),
    (["--data_url=.", "--preprocessing_name=resnet_v1_5", "--rows=augmented"], "resnet_v1_5"),
])
def test_wrong_words_of_data(args, words, tmp_path):
    done = mox("bench", "data", *args, check=False, cwd=tmp_path)
    assert done.returncode != 0 and words in done.stderr and not done.stdout
