"""Flags of mox train for recipes: schedules, optimizers, freeze, finetune, class weights, averages, augmentation, --lr_find."""

import json
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest

from launching import launch
from program import DATA, MOX, mox

AVERAGE = "/ExponentialMovingAverage"


def args(train_url, steps=4, **flags):
    given = {"model_name": "lenet", "dataset_name": "fashion_mnist", "data_url": DATA, "train_url": train_url, "batch_size": 20,
             "max_number_of_steps": steps, "seed": 3, "log_every_n_steps": 1, **flags}
    return ["train", *(f"--{name}={value}" for name, value in given.items())]


def train(train_url, steps=4, *more, **flags):
    return mox(*args(train_url, steps, **flags), *more)


@pytest.fixture
def refused(tmp_path):
    def check(told, *more, **flags):
        done = mox(*args(tmp_path / "refused", **flags), *more, check=False)
        assert done.returncode in (1, 2) and told in done.stderr, done.stderr
        assert not (tmp_path / "refused").exists(), "nothing is made before a training is found fit"

    return check


def variables(prefix):
    import tensorflow as tf
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_a_schedule_is_a_strategy(tmp_path):
    # 60,000 samples in batches of 20: 3,000 steps an epoch.
    train(tmp_path / "run", 6, learning_rate=0.1, schedule="cosine", warmup_epochs=0.001)
    made = json.loads((tmp_path / "run/train.json").read_text())
    assert made["learning_rate_strategy"] == "0.001:0->0.1,0.002:0.1~>0" and made["schedule"] == "cosine"
    points = json.loads(mox("lr", "1:0->0.1,3:0.1~>0", "--json").stdout)["points"]
    assert np.isclose(points[-3]["learning_rate"], 0.05 * (1 + np.cos(np.pi * 0.6)))


def test_optimizer_options(tmp_path, refused):
    train(tmp_path / "a", 2, optimizer="adamw", learning_rate=0.001, beta1=0.8, epsilon=1e-3, weight_decay=0.1)
    made = json.loads((tmp_path / "a/train.json").read_text())
    assert made["beta1"] == pytest.approx(0.8) and made["epsilon"] == pytest.approx(1e-3) and made["weight_decay"] == pytest.approx(0.1)
    assert json.loads((tmp_path / "a/run.json").read_text())["weight_decay"] == 0  # no part of the loss
    assert variables(tmp_path / "a/model.ckpt-2")["beta1_power"] == pytest.approx(0.8**3)
    refused("--beta1 is given, but the optimizer momentum has no such option; it is for adam, adamw, lamb", beta1=0.8)
    refused("--nesterov is given, but the optimizer adam has no such option; it is for momentum", optimizer="adam", nesterov="true")
    refused("--learning_rate and --learning_rate_strategy are both given", learning_rate=0.1, learning_rate_strategy="1:0.1")
    refused("--warmup_epochs is given without --learning_rate", warmup_epochs=1)
    refused("warmup_epochs is 1, expected less than num_epochs", learning_rate=0.1, schedule="linear", warmup_epochs=1)
    refused("--schedule=cosine needs to know where the training ends", learning_rate=0.1, schedule="cosine", max_number_of_steps=0)
    refused("--decay_epochs and --decay_factor are for --schedule=piecewise", learning_rate=0.1, decay_epochs="1,2")
    refused("--schedule", learning_rate=0.1, schedule="sine")


def test_finetune_and_freeze(tmp_path, refused):
    train(tmp_path / "a", 5)
    three = tmp_path / "data"
    for split in ("train", "eval"):
        for name in ("one", "two", "three"):
            (three / split / name).mkdir(parents=True)
            np_image(three / split / name / "1.png", 20 * len(name))
            np_image(three / split / name / "2.png", 30 * len(name))
    own = {"dataset_name": "", "data_url": three, "channels": 1, "batch_size": 2}
    done = train(tmp_path / "b", 2, finetune=tmp_path / "a", freeze="CONV", **own)
    assert "finetune: loaded" in done.stderr and "begun anew, of another shape" in done.stderr
    assert "trainable variables are not trained: " in done.stderr
    before, after = variables(tmp_path / "a/model.ckpt-5"), variables(tmp_path / "b/model.ckpt-2")
    assert after["global_step"] == 2
    kept = [name for name in before if "conv" in name.lower() and "Momentum" not in name]
    assert kept and all(np.array_equal(before[name], after[name]) for name in kept)
    assert any(a.shape != before[name].shape for name, a in after.items() if name in before)
    listed = (tmp_path / "b/finetune.txt").read_text()
    assert all(f"loaded\t{name}\n" in listed for name in kept) and "another shape\t" in listed
    # Another training's checkpoint starts at step 0, too.
    done = train(tmp_path / "c", 3, checkpoint_url=tmp_path / "a")
    assert "nothing to train" not in done.stderr and variables(tmp_path / "c/model.ckpt-3")["global_step"] == 3
    refused("freeze: 'conf1/weigths' matches none of the", freeze="conf1/weigths")
    refused("freeze: '(' is not a regular expression", freeze="(")
    own_images = {**own, "dataset_name": "", "validation_split": 0.5, "data_url": three / "train", "eval_every_n_steps": 1}
    refused("eval_monitor is 'acc', which is not in", eval_monitor="acc", **own_images)
    refused("num_classes is 2, but the data names 3 labels", num_classes=2, **own)
    refused("finetune: there is no checkpoint at", finetune=tmp_path / "none")
    for start in ("finetune", "checkpoint_url"):
        done = mox(*args(tmp_path / "new", **{start: tmp_path / "none/model.ckpt-1"}), check=False)
        assert done.returncode == 1 and "none" in done.stderr and not (tmp_path / "new").exists(), done.stderr


def np_image(path, value):
    from png_files import write_png
    write_png(path, np.full((28, 28), value, np.uint8))


def test_class_weights(tmp_path, refused):
    for split in ("train", "eval"):
        for name, count in (("many", 6), ("few", 2)):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for i in range(count):
                np_image(tmp_path / "data" / split / name / f"{i}.png", 40 * i)
    own = {"dataset_name": "", "data_url": tmp_path / "data", "channels": 1, "batch_size": 4}
    done = train(tmp_path / "run", 2, class_weights="balanced", **own)
    assert "class_weights balanced, from many (6 samples) 0.667 to few (2 samples) 2" in done.stderr
    records = tmp_path / "records"
    mox("data", "convert", tmp_path / "data/train", records / "train")
    done = train(tmp_path / "run2", 2, class_weights="balanced", **{**own, "data_url": records})
    assert "class_weights balanced, from many (6 samples) 0.667 to few (2 samples) 2" in done.stderr
    done = train(tmp_path / "run3", 2, class_weights="balanced", validation_split=0.5, **{**own, "data_url": tmp_path / "data/train"})
    assert "class_weights balanced, from many (3 samples) 0.667 to few (1 samples) 2" in done.stderr, "what is kept back does not count"
    refused("--class_weights has 2 numbers, and the network 10 classes", class_weights="1,2")
    refused("--class_weights has 'much', expected balanced, or a number a class", class_weights="much")
    refused("label_smoothing is 1: all classes would count alike", label_smoothing=1)


RECIPE = {"augment": "randaugment", "mixup": 0.2, "cutmix": 1, "random_erasing": 0.3, "crop_scale": "0.5,1", "hflip": 0.5,
          "model_ema": 0.9, "label_smoothing": 0.1, "save_model_steps": 3, "num_inter_threads": 1, "num_intra_threads": 1,
          "keep_checkpoint_max": 0}


def test_a_killed_training_goes_on_bit_for_bit(tmp_path):
    train(tmp_path / "whole", 40, **RECIPE)
    process = subprocess.Popen([str(MOX), *args(tmp_path / "killed", 40, **RECIPE)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed/model.ckpt-6.index").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = train(tmp_path / "killed", 40, **RECIPE)
    whole, killed = variables(tmp_path / "whole/model.ckpt-40"), variables(tmp_path / "killed/model.ckpt-40")
    assert whole.keys() == killed.keys() and any(name.endswith("/ExponentialMovingAverage") for name in whole)
    assert all(np.array_equal(whole[name], killed[name]) for name in whole), done.stderr


def test_averages_are_evaluated_and_exported(tmp_path, refused):
    run = tmp_path / "run"
    train(run, 30, learning_rate=0.05, model_ema=0.9, save_model_steps=30)
    raw = json.loads(mox("eval", f"--checkpoint_url={run}", "--json", "--max_number_of_steps=4").stdout)
    mean = json.loads(mox("eval", f"--checkpoint_url={run}", "--json", "--max_number_of_steps=4", "--use_ema").stdout)
    assert raw["loss"] != mean["loss"]
    exported = pathlib.Path(mox("export", f"--checkpoint_url={run}", f"--export_url={tmp_path / 'served'}", "--use_ema").stdout.strip())
    trained, served = variables(run / "model.ckpt-30"), variables(exported / "variables/variables")
    assert all(np.array_equal(value, trained[name + "/ExponentialMovingAverage"]) for name, value in served.items())
    train(tmp_path / "plain", 1)
    done = mox("eval", f"--checkpoint_url={tmp_path / 'plain'}", "--use_ema", check=False)
    assert done.returncode == 2 and "holds no averages" in done.stderr
    refused("model_ema is 1, expected a number from 0 to below 1", model_ema=1)
    # A validation judges them, and an evaluation says the same.
    done = train(tmp_path / "judged", 10, "--use_ema", model_ema=0.9, eval_every_n_steps=10)
    assert "the validation judges the averages" in done.stderr and f"mox eval --checkpoint_url={tmp_path / 'judged'} --use_ema" in done.stderr
    last = [json.loads(line) for line in (tmp_path / "judged/log.jsonl").read_text().splitlines() if "validation/loss" in line][-1]
    mean = json.loads(mox("eval", f"--checkpoint_url={tmp_path / 'judged'}", "--json", "--use_ema").stdout)
    assert mean["loss"] == pytest.approx(last["validation/loss"], rel=1e-4)
    refused("use_ema says in TRAIN what a validation evaluates", "--use_ema", model_ema=0.9)


@pytest.mark.parametrize("processes", [["--workers=2"], ["--workers=2", "--ps=1"]])
def test_averages_in_a_cluster_follow_their_formula(tmp_path, processes):
    flags = {"model_ema": 0.5, "save_model_steps": 1, "keep_checkpoint_max": 0, "num_inter_threads": 1, "num_intra_threads": 1}
    launch(*processes, "--", MOX, *args(tmp_path, 14, **flags))
    before = variables(tmp_path / "model.ckpt-1")
    means = {name.removesuffix(AVERAGE): value for name, value in before.items() if name.endswith(AVERAGE)}
    assert means
    for step in range(1, 14):
        d = min(0.5, (1 + step) / (10 + step))
        now = variables(tmp_path / f"model.ckpt-{step + 1}")
        means = {name: d * value + (1 - d) * now[name] for name, value in means.items()}
        assert all(np.allclose(now[name + AVERAGE], value, atol=1e-5) for name, value in means.items()), step


def test_augmentation_that_makes_no_sense(refused):
    refused("--mixup and --cutmix mix the images of a batch, and --batch_size is 1", mixup=0.2, batch_size=1)
    refused("augment is none, and crop_scale is given", augment="none", crop_scale="0.5")
    refused("crop_scale has 3 numbers", crop_scale="0.1,0.2,0.3")
    refused("randaugment, which has colours of its own", augment="randaugment", color_jitter="0.4")
    refused("--hflip", hflip=1.5)


def test_lr_find(tmp_path, refused):
    done = train(tmp_path / "run", 0, "--lr_find", lr_find_steps=40, optimizer="momentum")
    assert "suggestion: --learning_rate=" in done.stdout
    found = json.loads((tmp_path / "run/lr_find.json").read_text())
    rates = [point["learning_rate"] for point in found["points"]]
    assert 10 < len(rates) <= 40 and rates == sorted(rates) and 1e-5 < found["suggestion"] < 1
    assert (tmp_path / "run/lr_find.svg").read_text().startswith("<svg")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["lr_find.json", "lr_find.svg"]
    mox("report", tmp_path / "run")
    assert "Learning rates (--lr_find)" in (tmp_path / "run/report.html").read_text()
    refused("--lr_find tries many learning rates", "--lr_find", learning_rate=0.1)
