"""train, eval, predict, export on real images."""

import gzip
import json
import re

import numpy as np
import pytest

from png_files import write_png
from program import DATA, mox, train_args


def test_images():
    with gzip.open(f"{DATA}/t10k-images-idx3-ubyte.gz") as f:
        return np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)


test_images.__test__ = False


def test_training_writes_what_it_says(trained):
    state = (trained / "checkpoint").read_text()
    assert 'model_checkpoint_path: "model.ckpt-150"' in state
    assert (trained / "model.ckpt-150.index").exists()
    assert (trained / "labels.txt").read_text().startswith("0: T-shirt/top\n")
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 50, 100]
    assert lines[-1]["loss"] < lines[0]["loss"] / 3


def test_resuming_says_so_and_a_done_run_stops(trained):
    done = mox(*train_args(trained, 150))
    assert "going on from it" in done.stderr
    assert "nothing to train: the restored global step 150" in done.stderr


def test_eval_prints_one_line_or_one_object(trained):
    line, head, *classes = mox("eval", f"--checkpoint_url={trained}").stdout.splitlines()
    assert re.fullmatch(r"global step: 150\tsplit: test\tsamples: 10000\tloss: \d\.\d{4}\taccuracy: 0\.\d{4}\ttop5: 0\.\d{4}", line)
    assert head.split() == ["class", "samples", "recall", "precision"]
    assert len(classes) == 10 and all(re.search(r"  1000   0\.\d{4}     0\.\d{4}$", text) for text in classes)
    result = json.loads(mox("eval", f"--checkpoint_url={trained}", "--json", "--batch_size=77").stdout)
    assert result["samples"] == 10000
    assert f"accuracy: {result['accuracy']:.4f}" in line, "the batch size changed the metrics"
    assert result["accuracy"] > 0.6


def test_predict_arrays_tables_and_json(trained, tmp_path):
    images = test_images()[:20]
    np.save(tmp_path / "images.npy", images)
    mox("predict", f"--checkpoint_url={trained}", tmp_path / "images.npy", f"--output_url={tmp_path / 'out.npy'}")
    probabilities = np.load(tmp_path / "out.npy")
    assert probabilities.shape == (20, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    lines = [json.loads(l) for l in mox("predict", f"--checkpoint_url={trained}", tmp_path / "images.npy", "--json").stdout.splitlines()]
    assert [l["label"] for l in lines] == probabilities.argmax(1).tolist()
    table = mox("predict", f"--checkpoint_url={trained}", tmp_path / "images.npy").stdout.splitlines()
    assert table[0].split() == ["image", "label", "probability", "class"]
    assert table[1].split()[3:] == lines[0]["class"].split()
    # The same values, prepared by hand.
    np.save(tmp_path / "ready.npy", (images.astype(np.float32) - 128) / 128)
    mox("predict", f"--checkpoint_url={trained}", tmp_path / "ready.npy", "--preprocess=none", f"--output_url={tmp_path / 'out2.npy'}")
    np.testing.assert_allclose(np.load(tmp_path / "out2.npy"), probabilities, atol=1e-5)


@pytest.mark.parametrize("value,kind,words,expected", [
    (np.nan, np.float32, [], "sample 3 of the array has a nan, expected finite numbers"),
    (np.inf, np.float32, ["--preprocess=none"], "sample 3 of the array has a inf, expected finite numbers"),
    (-np.inf, np.float64, ["--preprocess=none"], "sample 3 of the array has a -inf, expected finite numbers"),
    (1, np.float64, [], "the array is of double, expected uint8 or float32"),
])
def test_what_is_no_pixel_is_no_class(trained, tmp_path, value, kind, words, expected):
    images = test_images()[:6].astype(kind)
    images[3, 5, 5, 0] = value
    np.save(tmp_path / "images.npy", images)
    failed = mox("predict", f"--checkpoint_url={trained}", tmp_path / "images.npy", *words, check=False)
    assert failed.returncode != 0 and expected in failed.stderr and not failed.stdout


def test_predict_names_a_broken_image(trained, tmp_path):
    for i, image in enumerate(test_images()[:3]):
        write_png(tmp_path / f"{i}.png", image[:, :, 0])
    table = mox("predict", f"--checkpoint_url={trained}", tmp_path).stdout
    assert [line.split()[0] for line in table.splitlines()[1:]] == [str(tmp_path / f"{i}.png") for i in range(3)]
    (tmp_path / "1.png").write_bytes(b"no image")
    failed = mox("predict", f"--checkpoint_url={trained}", tmp_path, check=False)
    assert failed.returncode == 1 and "1 of 3 images could not be read and are left out" in failed.stderr
    assert f"image {tmp_path / '1.png'} is left out: not an image: it begins with 'no image'" in failed.stderr
    assert failed.stdout.splitlines() == [line for line in table.splitlines() if "1.png" not in line]
    for i in (0, 2):
        (tmp_path / f"{i}.png").unlink()
    failed = mox("predict", f"--checkpoint_url={trained}", tmp_path, check=False)
    assert failed.returncode == 1 and "no image of those that are given can be read" in failed.stderr


def test_export_is_what_predict_says(trained, tmp_path):
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    ready = (test_images()[:10].astype(np.float32) - 128) / 128
    np.save(tmp_path / "ready.npy", ready)
    folder = mox("export", f"--checkpoint_url={trained}", f"--export_url={tmp_path}").stdout.strip()
    assert folder == str(tmp_path / "1")
    assert mox("export", f"--checkpoint_url={trained}", f"--export_url={tmp_path}").stdout.strip() == str(tmp_path / "2")
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    served = serve(images=tf.constant(ready))
    mox("predict", f"--checkpoint_url={trained}", tmp_path / "ready.npy", "--preprocess=none", f"--output_url={tmp_path / 'p.npy'}")
    np.testing.assert_allclose(served["probabilities"].numpy(), np.load(tmp_path / "p.npy"), atol=1e-5)
    mox("predict", f"--checkpoint_url={trained}", tmp_path / "ready.npy", "--preprocess=none", "--values=logits", f"--output_url={tmp_path / 'l.npy'}")
    np.testing.assert_allclose(served["logits"].numpy(), np.load(tmp_path / "l.npy"), atol=1e-5)
    assert (tmp_path / "1/assets/labels.txt").read_text() == (trained / "labels.txt").read_text()


def test_two_devices_train(tmp_path):
    done = mox(*train_args(tmp_path / "run", 20, num_gpus=2, log_every_n_steps=5, seed=3))
    assert "Running will end at step: 20" in done.stderr


@pytest.mark.parametrize("start", ["--version", "--help", "flags", "file --help"])
def test_starts_without_tensorflow(start):
    """No library of TensorFlow is opened: it would cost a second."""
    import subprocess
    from program import MOX

    traced = subprocess.run(["/lib64/ld-linux-x86-64.so.2", "--list", str(MOX)], capture_output=True, text=True)
    assert "libmoxing_file" in traced.stdout
    assert "tensorflow" not in traced.stdout
    assert mox(*start.split()).stdout
