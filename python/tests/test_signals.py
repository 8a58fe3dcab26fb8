"""Signals while a step computes in the thread that asks for it: oneDNN's code does not bear a handler in its midst."""
import signal

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox


@pytest.mark.parametrize("run_mode", ["TRAIN", "EVAL"])
def test_wait_until_a_step_is_done(run_mode, tmp_path):
    def input_fn(mode):
        return tf.data.make_one_shot_iterator(tf.data.Dataset.from_tensors((np.ones((2, 8, 8, 3), np.float32), np.zeros(2, np.int64))).repeat()).get_next()

    blocked, between = [], []

    def look(value):
        blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return value

    class Hook(tf.train.SessionRunHook):
        def after_run(self, run_context, run_values):
            between.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    def model_fn(inputs, mode):
        images = tf.ensure_shape(tf.numpy_function(look, [inputs[0]], tf.float32), inputs[0].shape)
        y = tf.reduce_mean(tf.nn.conv2d(images, tf.get_variable("weights", [3, 3, 3, 4]), 1, "SAME"), [1, 2])
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=inputs[1], logits=y))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, hooks=[Hook()])

    def run(mode):
        mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.1), run_mode=mode, auto_batch=False, batch_size=2,
                log_dir=str(tmp_path), max_number_of_steps=2)

    run("TRAIN")
    if run_mode != "TRAIN":
        blocked.clear(), between.clear()
        run(run_mode)
    assert blocked and all({signal.SIGINT, signal.SIGTERM} <= mask for mask in blocked)
    assert between and not any({signal.SIGINT, signal.SIGTERM} & mask for mask in between)
