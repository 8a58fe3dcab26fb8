"""Inputs, checkpoints and exports in the ways of scripts for the original: without batch_size, in structures, by the manual's rules."""
import json
import os
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy


def slow_batches(mode):
    """40 samples each tenth of a second, in batches whose size the shape does not tell."""
    def batches():
        while True:
            time.sleep(0.1)
            yield toy.samples(40)

    ds = tf.data.Dataset.from_generator(batches, (tf.float32, tf.float32), (tf.TensorShape([None, 4]), tf.TensorShape([None])))
    return tf.data.make_one_shot_iterator(ds).get_next()


@pytest.mark.parametrize("num_gpus", [1, 2])
def test_without_batch_size_inputs_are_batches(mox, tmp_path, log_lines, num_gpus):
    mox.set_flag("num_gpus", num_gpus)
    result = mox.run(**toy.options(tmp_path, 4, batch_size=None, input_fn=slow_batches, log_every_n_steps=1))
    assert result.steps == 4
    assert "batch_size is not given: what input_fn returns is taken as batches" in log_lines()
    lines = [json.loads(line) for line in open(tmp_path / "log.jsonl")]
    assert 40 < lines[-1]["sample/sec"] < 440  # 10 or 1 a second were a batch counted as a sample; one thread reads for both devices
    result = mox.run(**toy.options(tmp_path, 6, batch_size=None, auto_batch=False, input_fn=slow_batches))
    assert (result.steps, result.global_step) == (2, 6) and "Running will end at step: 6" in log_lines()


def test_evaluation_without_batch_size(mox, tmp_path):
    mox.run(**toy.options(tmp_path, 20))

    def input_fn(mode):
        ds = tf.data.Dataset.from_tensor_slices(toy.samples(20)).batch(8)
        return tf.data.make_one_shot_iterator(ds).get_next()

    for num_gpus, steps in ((1, 3), (2, 2)):
        mox.set_flag("num_gpus", num_gpus)
        result = mox.run(**toy.options(tmp_path, 0, input_fn=input_fn, batch_size=None, run_mode="EVAL"))
        assert result.steps == steps and result.metrics["loss"] < 1


@pytest.mark.parametrize("num_gpus", [1, 2])
def test_structures_from_input_fn(mox, tmp_path, num_gpus):
    """model_fn gets tensors in the dicts and tuples that input_fn gave, in each mode."""
    mox.set_flag("num_gpus", num_gpus)
    seen = []

    def input_fn(mode):
        x, y = toy.input_fn_of()(mode)
        return {"image": x, "targets": {"y": y, "both": (y, x)}}

    def model_fn(inputs, mode):
        assert sorted(inputs) == ["image", "targets"] and isinstance(inputs["targets"]["both"], tuple)
        assert inputs["targets"]["both"][1].shape.as_list()[1:] == inputs["image"].shape.as_list()[1:] == [4]
        seen.append(mode)
        return toy.model_fn([inputs["image"], inputs["targets"]["y"]], mode)

    result = mox.run(**toy.options(tmp_path, 30, input_fn=input_fn, model_fn=model_fn, inter_mode="EVAL", export_model="TF_SERVING"))
    assert result.metrics["loss"] < 2 and seen == ["TRAIN"] * num_gpus + ["EVAL", "EXPORT"]


def test_input_spec(mox, tmp_path):
    def input_fn(mode):
        spec = mox.InputSpec(split_to_device=True)
        spec.new_input(toy.input_fn_of()(mode))
        return spec

    result = mox.run(**toy.options(tmp_path, 5, input_fn=input_fn, model_fn=lambda inputs, mode: toy.model_fn(inputs.get_input(0), mode)))
    assert result.steps == 5


def test_what_is_no_tensor_in_a_structure_is_told(mox, tmp_path):
    with pytest.raises(ValueError, match="input_fn returned str as element 1"):
        mox.run(**toy.options(tmp_path, 5, input_fn=lambda mode: {"a": tf.constant(1.0), "b": "text"}))


def logits(mox, shape, **options):
    with tf.Graph().as_default():
        return mox.get_model_fn("cifarnet", "EVAL", 10, **options)(tf.placeholder(tf.float32, shape))[0]


def test_preprocess_fn_may_take_the_mode(mox):
    seen = []

    def preprocess_fn(images, run_mode, *args):
        seen.append((run_mode, args))
        return tf.transpose(images / 255.0, (0, 3, 1, 2))

    assert logits(mox, [2, 32, 32, 3], preprocess_fn=preprocess_fn, data_format="NCHW").shape.as_list() == [2, 10]
    assert seen == [("EVAL", ())]
    logits(mox, [2, 32, 32, 3], preprocess_fn=lambda images, scale=2.0: images * scale)  # a default is the script's own


@pytest.mark.parametrize("num_channels", [1, 3])
def test_what_preprocess_fn_gives_in_nchw_is_what_nhwc_was(mox, num_channels):
    images = np.random.RandomState(1).rand(2, 28, 28, num_channels).astype(np.float32)
    results = []
    for data_format, order in (("NHWC", None), ("NCHW", None), ("NCHW", (0, 3, 1, 2))):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(3)
            preprocess_fn = (lambda x: tf.transpose(x, order)) if order else None
            y, _ = mox.get_model_fn("lenet", "EVAL", 10, data_format=data_format, preprocess_fn=preprocess_fn)(tf.constant(images))
            session.run(tf.global_variables_initializer())
            results.append(session.run(y))
    assert np.allclose(results[0], results[1], atol=1e-5) and np.allclose(results[0], results[2], atol=1e-5)


def test_channels_that_make_no_sense_are_an_error(mox):
    with pytest.raises(ValueError, match=r"shape \[2,3,32,32\], which have 32 channels.*data_format='NCHW'"):
        logits(mox, [2, 3, 32, 32])
    with pytest.raises(ValueError, match="which have 16 channels; expected .* at most 4 channels$"):
        logits(mox, [2, 32, 32, 16])



def test_training_from_a_folder_without_checkpoint_initialises(mox, tmp_path, log_lines):
    (tmp_path / "empty").mkdir()
    assert mox.run(**toy.options(tmp_path / "run", 3, checkpoint_path=str(tmp_path / "empty"))).steps == 3
    assert any("has no checkpoint" in line and "all variables are initialised" in line for line in log_lines())
    with pytest.raises(FileNotFoundError, match="has no checkpoint"):
        mox.run(**toy.options("", 3, checkpoint_path=str(tmp_path / "empty"), run_mode="EVAL"))
    with pytest.raises(FileNotFoundError, match="neither a folder nor a checkpoint"):
        mox.run(**toy.options(tmp_path / "other", 3, checkpoint_path=str(tmp_path / "nowhere")))


def test_evaluation_loads_what_patterns_leave_out(mox, tmp_path, log_lines):
    trained = mox.run(**toy.options(tmp_path, 50)).checkpoint
    mox.set_flag("checkpoint_exclude_patterns", "global_step,^w,new")

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.log_info["new"] = tf.get_variable("new", [], initializer=tf.constant_initializer(7.0))
        return spec

    log_lines()
    result = mox.run(**toy.options("", 2, model_fn=model_fn, run_mode="EVAL", checkpoint_path=trained))
    assert result.metrics["loss"] < 1 and result.metrics["new"] == 7
    lines = log_lines()
    assert any(line.startswith("WARNING: EVAL trains nothing") and line.endswith(": w") for line in lines), lines
    assert any(line.startswith("WARNING: EVAL runs with initial values") and line.endswith(": new") for line in lines), lines


def test_which_variables_were_not_loaded_is_told(mox, tmp_path, log_lines):
    trained = mox.run(**toy.options(tmp_path / "a", 2)).checkpoint
    mox.set_flag("checkpoint_exclude_patterns", "global_step")

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.loss += tf.get_variable("more", [], initializer=tf.zeros_initializer())
        return spec

    mox.run(**toy.options(tmp_path / "b", 2, model_fn=model_fn, checkpoint_path=trained))
    assert any(line.endswith("loaded 2 of 3 variables from checkpoint " + trained + "; not in it, initialised: more") for line in log_lines())


@pytest.mark.parametrize("version", [None, "", "a/b", 1.5])
def test_versions_of_exports_are_looked_at_before_the_training(mox, tmp_path, version):
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.export_spec.version = version
        return spec

    with pytest.raises(ValueError, match="version"):
        mox.run(**toy.options(tmp_path, 3, model_fn=model_fn, export_model="TF_SERVING"))
    assert not any(name.startswith("model.ckpt") for name in os.listdir(tmp_path))
