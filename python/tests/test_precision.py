"""Loss scale, clipping, 16 bits and what a resumed training goes on with, through mox.run."""
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy
from tensorflow.python.training import moving_averages

pytestmark = pytest.mark.usefixtures("mox")


def values(log_dir, step):
    reader = tf.train.load_checkpoint(f"{log_dir}/model.ckpt-{step}")
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def overflowing_model(mox):
    """loss = 4 w in half precision: its gradient overflows from a scale of 16384 on."""

    def model_fn(inputs, mode):
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        loss = tf.cast(tf.cast(w, tf.float16) * tf.constant(4, tf.float16), tf.float32)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss})

    return model_fn


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_dynamic_loss_scale_skips_and_halves(mox, tmp_path, log_lines, devices, optimizer):
    mox.set_flag("num_gpus", devices)
    mox.set_flag("loss_scale", "dynamic")
    mox.set_flag("loss_scale_growth_steps", 3)
    options = {"weight_decay": 0.0} if optimizer == "adamw" else {}
    mox.run(**toy.options(tmp_path, 5, model_fn=overflowing_model(mox), optimizer_fn=mox.get_optimizer_fn(optimizer, 0.1, **options)))
    after = values(tmp_path, 5)
    assert np.isclose(after["w"], 1 - 3 * (0.4 if optimizer == "sgd" else 0.1), atol=1e-5), "two of five steps are skipped"
    assert after["global_step"] == 5
    assert after["loss_scale_value"] == 16384 and after["loss_scale_good_steps"] == 0
    lines = "\n".join(log_lines())
    assert "the gradients are not finite, the step is skipped; loss_scale: 32768 -> 16384" in lines
    assert "3 good steps; loss_scale: 8192 -> 16384" in lines


def test_a_skipped_step_moves_no_average_and_fetches_do_not_fail(mox, tmp_path, log_lines):
    """Two of five steps are skipped: a moving average stays, hooks and summaries see their gradients all the same."""
    mox.set_flag("loss_scale", "dynamic")
    seen = []

    class Watcher(tf.train.SessionRunHook):
        def before_run(self, run_context):
            return tf.train.SessionRunArgs("joined_gradients/w:0")

        def after_run(self, run_context, run_values):
            seen.append(float(run_values.results))

    def model_fn(inputs, mode):
        spec = overflowing_model(mox)(inputs, mode)
        average = tf.get_variable("average", [], initializer=tf.zeros_initializer(), trainable=False)
        update = moving_averages.assign_moving_average(average, tf.constant(2.0), 0.5, zero_debias=False)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        spec.hooks = [Watcher()]
        return spec

    class Summing(tf.train.GradientDescentOptimizer):
        def apply_gradients(self, grads_and_vars, *args, **kwargs):
            for gradient, variable in grads_and_vars:
                tf.summary.histogram("gradient/" + variable.op.name, gradient)
            return super().apply_gradients(grads_and_vars, *args, **kwargs)

    mox.run(**toy.options(tmp_path, 5, model_fn=model_fn, optimizer_fn=lambda: Summing(0.1), save_summary_steps=1))
    assert np.isclose(values(tmp_path, 5)["average"], 2 * (1 - 0.5**3))
    assert np.isnan(seen[:2]).all() and seen[2:] == [4.0] * 3
    events, = tmp_path.glob("events.out.tfevents.*")
    summed = [event.step for event in tf.train.summary_iterator(str(events)) for value in event.summary.value
              if value.tag.startswith("gradient/w")]
    assert summed == [2, 3, 4]


def test_gradient_clip(mox, tmp_path):
    mox.set_flag("gradient_clip", 0.5)
    mox.set_flag("gradient_clip_type", "global_norm")
    mox.run(**toy.options(tmp_path, 1))
    after = values(tmp_path, 1)
    moved = np.append(after["w"][:, 0] - 0.1, after["b"])
    assert np.isclose(np.linalg.norm(moved), 0.05, rtol=1e-4), "rate 0.1, a gradient of norm 0.5"


def test_use_fp16(mox, tmp_path):
    mox.run(**toy.options(tmp_path / "wide", 10))
    mox.set_flag("use_fp16", True)
    mox.run(**toy.options(tmp_path / "narrow", 10))
    difference = np.abs(values(tmp_path / "wide", 10)["w"] - values(tmp_path / "narrow", 10)["w"]).max()
    assert 1e-5 < difference < 0.02


def test_seeded_dropout_goes_on_after_a_resume(mox, tmp_path):
    def model_fn(inputs, mode):
        w = tf.get_variable("w", [64], initializer=tf.zeros_initializer())
        loss = tf.reduce_sum(tf.nn.dropout(w + 1.0, rate=0.5))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss})

    tf.set_random_seed(7)
    run = dict(model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.01))
    mox.run(**toy.options(tmp_path / "whole", 6, **run))
    mox.run(**toy.options(tmp_path / "parts", 3, **run))
    mox.run(**toy.options(tmp_path / "parts", 6, **run))
    whole, parts = values(tmp_path / "whole", 6)["w"], values(tmp_path / "parts", 6)["w"]
    assert np.array_equal(whole, parts)
    assert len(np.unique(np.round(whole / 0.02))) > 3, "the same elements were dropped in every step"


def test_keep_best_and_histograms(mox, tmp_path):
    mox.run(**toy.options(tmp_path, 30, keep_best="loss", save_model_steps=5, log_every_n_steps=1, save_histogram_steps=10))
    best = json.loads((tmp_path / "best_checkpoint.json").read_text())
    assert (tmp_path / (best["checkpoint"] + ".index")).exists() and best["metric"] == "loss"
    tags = [value.tag for path in tmp_path.glob("*.tfevents.*") for event in tf.train.summary_iterator(str(path))
            for value in event.summary.value if value.HasField("histo")]
    assert tags.count("variables/w") == 3
    with pytest.raises(mox.InvalidArgumentError, match="keep_best is 'accuracy', which is not in model_fn's log_info; there is: loss"):
        mox.run(**toy.options(tmp_path / "other", 1, keep_best="accuracy"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weight_decay_is_added_to_a_loss_in_16_bits(mox, tmp_path, dtype):
    """The manual's 1.2.2: images in 16 bits, variables in 32, and loss + tf.add_n(mox.get_collection(…)) as it is written."""
    def model_fn(inputs, mode):
        images = tf.cast(tf.reshape(inputs[0], [-1, 2, 2, 1]) + tf.zeros([8, 28, 28, 1])[:, :2, :2], dtype)
        with mox.var_scope(force_dtype=tf.float32):
            logits, _ = mox.get_model_fn("lenet", mode, 10, weight_decay=0.01, image_height=28, image_width=28)(
                tf.image.resize_nearest_neighbor(images, [28, 28]))
        loss = tf.losses.softmax_cross_entropy(tf.one_hot(tf.zeros([8], tf.int64), 10), logits=logits)
        losses = mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        assert loss.dtype == logits.dtype == tf.as_dtype(dtype) and len(losses) == 4
        loss = loss + tf.add_n(losses)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss})

    mox.set_flag("loss_scale", 128.0)
    result = mox.run(**toy.options(tmp_path, 3, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.01)))
    assert result.steps == 3 and 100 < result.metrics["loss"] < 200  # 0.005 times 3.2 million squares of 0.09 or so
    assert values(tmp_path, 3)["LeNet/conv1/weights"].dtype == np.float32
