"""Validation while mox.run trains: eval_every_n_…, keep_best, early stopping, plateaus, num_epochs."""
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import toy


def input_fn(mode):
    """Training samples for ever; 20 to evaluate on: two batches of 8 and one of 4."""
    return toy.input_fn_of(20 if mode == "EVAL" else None)(mode)


def options(log_dir, steps=20, **changes):
    return toy.options(log_dir, steps, **{"input_fn": input_fn, "eval_every_n_steps": 5, **changes})


def validations(lines):
    return [line for line in lines if line.startswith("[Validation]")]


def test_the_means_are_those_over_the_samples(mox, tmp_path, log_lines):
    result = mox.run(**options(tmp_path))
    reader = tf.train.load_checkpoint(result.checkpoint)
    x, y = toy.samples(20)
    loss = np.mean(np.square(x @ reader.get_tensor("w")[:, 0] + reader.get_tensor("b") - y))
    assert result.validation == {"loss": pytest.approx(loss, rel=1e-5)}
    assert result.best_validation == ("loss", pytest.approx(loss, rel=1e-5), 20)
    lines = validations(log_lines())
    assert [line.split("\t")[0] for line in lines] == [f"[Validation] step: {step}" for step in (5, 10, 15, 20)]
    assert "best loss: " in lines[-1] and "samples: 20" in lines[-1]
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["global_step"] for line in logged if "validation/loss" in line] == [5, 10, 15, 20]
    tags = {(event.step, value.tag): value.simple_value
            for path in (tmp_path / "validation").glob("events.*")
            for event in tf.train.summary_iterator(str(path)) for value in event.summary.value}
    assert tags[20, "loss"] == pytest.approx(loss, rel=1e-5)
    frame = mox.history(str(tmp_path))
    assert frame["validation/loss"].dropna().index.tolist() == [5, 10, 15, 20]


def test_epochs(mox, tmp_path, log_lines):
    result = mox.run(**options(tmp_path, None, eval_every_n_steps=0, eval_every_n_epochs=2, num_epochs=5, samples_per_epoch=20,
                               batch_size=8))
    assert result.steps == 13  # of 12.5
    assert [line.split("\t")[0] for line in validations(log_lines())] == [
        "[Validation] epoch 2, step: 5", "[Validation] epoch 4, step: 10", "[Validation] epoch 5.20, step: 13"]


def test_the_best_checkpoint_is_that_of_the_best_validation(mox, tmp_path):
    """A rate that lets the loss fall, then grow: the best lies in the middle, and stays though two newer ones push it out."""
    def optimizer():
        return tf.train.GradientDescentOptimizer(tf.where(tf.train.get_global_step() < 10, 0.1, -0.1))

    result = mox.run(**options(tmp_path, 20, optimizer_fn=optimizer, keep_best="loss", keep_checkpoint_max=1, save_model_steps=5))
    best = json.loads((tmp_path / "best_checkpoint.json").read_text())
    assert best["metric"] == "validation/loss" and best["checkpoint"] == "model.ckpt-10"
    assert result.best_validation == ("loss", pytest.approx(best["value"]), 10)
    assert {path.name for path in tmp_path.glob("*.index")} == {"model.ckpt-10.index", "model.ckpt-20.index"}


def rate_model(inputs, mode):
    """Its loss is a variable, which each step lowers by the learning rate."""
    w = tf.get_variable("w", [], initializer=tf.zeros_initializer())
    return mox_module.ModelSpec(loss=w + 0.0 * tf.reduce_mean(inputs[0]), log_info={"loss": w + 0.0 * tf.reduce_mean(inputs[0])})


@pytest.fixture(autouse=True)
def _module(mox):
    global mox_module
    mox_module = mox


@pytest.mark.parametrize("optimizer", ["mox", "tf"])
def test_a_plateau_multiplies_the_learning_rate(mox, tmp_path, log_lines, optimizer):
    make = mox.get_optimizer_fn("sgd", 1.0) if optimizer == "mox" else lambda: tf.train.GradientDescentOptimizer(1.0)
    given = dict(model_fn=rate_model, optimizer_fn=make, keep_best="loss", keep_best_mode="max", plateau_patience=2,
                 plateau_factor=0.5, early_stopping_patience=5, save_model_steps=5)
    result = mox.run(**options(tmp_path / "whole", 1000, **given))
    # -5 is the best; -10 and -15 are no gain: a half from there, and again after -17.5 and -20.
    said = log_lines()
    steps = [line.split("loss: ")[1].split("\t")[0] for line in validations(said)]
    assert steps == ["-5.000", "-10.000", "-15.000", "-17.500", "-20.000", "-21.250"]
    assert result.steps == 30
    assert "[Plateau] loss did not gain in 2 validations: the learning rate is multiplied by 0.5 (0.5 in all)" in said
    # A training that goes on knows all of it: patience, factor and best.
    for steps in 10, 20, 1000:  # a run that ends elsewhere validates there, too
        parted = mox.run(**options(tmp_path / "parts", steps, **given))
    assert parted.global_step == 30
    assert validations(log_lines())[-1].split("\t")[2:] == validations(said)[5].split("\t")[2:]


def test_a_validation_that_fails_does_not_cost_the_training(mox, tmp_path, log_lines):
    def broken(mode):
        x, y = input_fn(mode)
        if mode == "EVAL":
            def fail(value):
                raise ValueError("the camera is off")
            x = tf.ensure_shape(tf.py_func(fail, [x], tf.float32), [4])
        return x, y

    result = mox.run(**options(tmp_path, 10, input_fn=broken))
    assert result.steps == 10 and result.validation == {} and result.checkpoint
    failed = [line for line in log_lines() if "[Validation] step: 5\tfailed, the training goes on: " in line]
    assert len(failed) == 1 and "the camera is off" in failed[0]


def test_one_without_samples(mox, tmp_path, log_lines):
    def empty(mode):
        return toy.input_fn_of(0 if mode == "EVAL" else None)(mode) if mode != "EVAL" else none()

    def none():
        dataset = tf.data.Dataset.from_tensor_slices(toy.samples(4)).take(0)
        return tf.data.make_one_shot_iterator(dataset).get_next()

    assert mox.run(**options(tmp_path, 10, input_fn=empty)).steps == 10
    assert any("the data of mode EVAL has no samples" in line for line in log_lines())


def test_log_format_short(mox, tmp_path, log_lines):
    mox.run(**options(tmp_path, 6, eval_every_n_steps=0, log_format="short", log_every_n_steps=5, samples_per_epoch=16))
    mox.run(**options(tmp_path, 11, eval_every_n_steps=0, log_format="short", log_every_n_steps=5, samples_per_epoch=16))
    lines = [line.split("\t") for line in log_lines() if line.startswith("step: ")]
    assert [line[:2] for line in lines] == [["step: 0", "epoch: 0.00"], ["step: 5", "epoch: 2.50"], ["step: 6", "epoch: 3.00"]]
    assert all(line[3] == "lr: 0.1" and line[4].startswith("loss: ") for line in lines)
    assert not any("global step" in line for line in log_lines() if line.startswith("step"))


def test_a_hook_in_eval_may_read_the_global_step(mox, tmp_path):
    seen = []

    class Reader(tf.train.SessionRunHook):
        def begin(self):
            self.step = tf.train.get_global_step()

        def after_run(self, run_context, run_values):
            seen.append(int(run_context.session.run(self.step)))

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.hooks = [Reader()] if mode == "EVAL" else None
        return spec

    mox.run(**toy.options(tmp_path, 7))
    given = toy.options(tmp_path, 2, model_fn=model_fn, run_mode="EVAL", checkpoint_path=str(tmp_path))
    del given["optimizer_fn"], given["log_dir"]
    mox.run(**given)
    assert seen == [7, 7]


@pytest.mark.eager
def test_an_eager_tensor_is_told(mox, tmp_path):
    with tf.init_scope():
        early = tf.constant(np.ones([4], np.float32))
    with pytest.raises(mox.InvalidArgumentError, match=r"input_fn returned an EagerTensor \(a value that was computed already: .*"):
        mox.run(**toy.options(tmp_path, 2, input_fn=lambda mode: (early, early)))


def test_keras_layers_have_the_same_names_in_every_run(mox, tmp_path):
    keras = pytest.importorskip("keras")

    def model_fn(inputs, mode):
        x, y_ = inputs
        hidden = keras.layers.Dense(3)(x)
        loss = tf.reduce_mean(tf.square(keras.layers.Dense(1)(hidden)[:, 0] - y_))
        return mox_module.ModelSpec(loss=loss, log_info={"loss": loss})

    names = []
    for number in range(3):
        keras.layers.Dense(2)  # what a user makes between the runs
        result = mox.run(**toy.options(tmp_path / str(number), 2, model_fn=model_fn))
        names.append(sorted(name for name, _ in tf.train.list_variables(result.checkpoint)))
    assert names[0] == names[1] == names[2]
