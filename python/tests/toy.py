"""A small model that learns at once: a line in four dimensions."""
import numpy as np
import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox

_FACTORS = np.array([1.0, -2.0, 3.0, -4.0], np.float32)


def samples(count):
    x = np.sin(np.arange(count)[:, None] * np.arange(1, 5)).astype(np.float32)
    return x, x @ _FACTORS


def input_fn_of(count=None):
    """One sample after the other; without a count, 640 of them for ever."""

    def input_fn(mode):
        ds = tf.data.Dataset.from_tensor_slices(samples(count or 640))
        return tf.data.make_one_shot_iterator(ds if count else ds.repeat()).get_next()

    return input_fn


def model_fn(inputs, mode):
    x, y_ = inputs
    w = tf.get_variable("w", [4, 1], initializer=tf.constant_initializer(0.1))
    b = tf.get_variable("b", [1], initializer=tf.zeros_initializer())
    y = tf.squeeze(tf.matmul(x, w) + b, 1)
    loss = tf.reduce_mean(tf.square(y - y_))
    return mox.ModelSpec(loss=loss, log_info={"loss": loss}, output_info={"y": y},
                         export_spec=mox.ExportSpec({"x": x}, {"y": y}))


def options(log_dir, steps=20, count=None, **changes):
    """Arguments of mox.run: a training of `steps` steps of 8."""
    return {
        "input_fn": input_fn_of(count), "model_fn": model_fn, "optimizer_fn": mox.get_optimizer_fn("sgd", 0.1),
        "run_mode": mox.ModeKeys.TRAIN, "batch_size": 8, "log_dir": str(log_dir), "max_number_of_steps": steps, **changes
    }
