"""Against the real thing: TensorFlow's checkpoint reader, Saver and SavedModel loader, TensorBoard's event reader."""
import os
import pathlib
import subprocess

import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import toy

MOX = pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "bin" / "mox"


def predict(mox, log_dir, model_fn=toy.model_fn, count=42):
    got = []
    mox.run(**toy.options(log_dir, 0, count=count, model_fn=model_fn, run_mode=mox.ModeKeys.PREDICT, output_fn=got.extend))
    return np.concatenate([output["y"] for output in got])


def served(folder, **inputs):
    signature = tf2.saved_model.load(str(folder)).signatures["serving_default"]
    return {name: value.numpy() for name, value in signature(**{k: tf2.constant(v) for k, v in inputs.items()}).items()}


def test_tensorflow_reads_our_checkpoints(mox, tmp_path):
    mox.run(**toy.options(tmp_path, 20, optimizer_fn=mox.get_optimizer_fn("adam", 0.1)))
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-20")
    reader = tf.train.load_checkpoint(str(tmp_path))
    assert reader.get_variable_to_shape_map() == {
        "w": [4, 1], "b": [1], "w/Adam": [4, 1], "w/Adam_1": [4, 1], "b/Adam": [1], "b/Adam_1": [1],
        "beta1_power": [], "beta2_power": [], "global_step": []}
    assert reader.get_tensor("global_step") == 20
    with tf.Graph().as_default(), tf.Session() as session:
        x, _ = toy.samples(8)
        y = toy.model_fn([tf.constant(x), tf.zeros([8])], "PREDICT").output_info["y"]
        tf.train.Saver().restore(session, str(tmp_path / "model.ckpt-20"))
        assert np.allclose(session.run(y), predict(mox, tmp_path, count=8), atol=1e-5)


def test_we_restore_what_tensorflows_saver_wrote(mox, tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        toy.model_fn([tf.zeros([8, 4]), tf.zeros([8])], "TRAIN")
        session.run(tf.global_variables_initializer())
        w, b = tf.trainable_variables()
        session.run([w.assign([[1.0], [2.0], [3.0], [4.0]]), b.assign([5.0]), step.assign(17)])
        tf.train.Saver().save(session, str(tmp_path / "theirs" / "model.ckpt"), global_step=step)
    x, _ = toy.samples(42)
    expected = x @ np.array([1, 2, 3, 4], np.float32) + 5
    assert np.allclose(predict(mox, tmp_path / "theirs"), expected, atol=1e-5)
    result = mox.run(**toy.options(tmp_path / "theirs", 20))
    assert (result.steps, result.global_step) == (3, 20)


@pytest.mark.eager
def test_tensorflow_serves_our_export(mox, tmp_path):
    result = mox.run(**toy.options(tmp_path, 20, export_model=mox.ExportKeys.TF_SERVING))
    x, _ = toy.samples(42)
    assert np.allclose(served(result.export_dir, x=x)["y"], predict(mox, tmp_path), atol=1e-5)
    with tf.Graph().as_default(), tf.Session() as session:  # TF 1's loader
        meta = tf.saved_model.loader.load(session, ["serve"], result.export_dir)
        signature = meta.signature_def["serving_default"]
        assert [d.size for d in signature.inputs["x"].tensor_shape.dim] == [-1, 4]
        y = session.run(signature.outputs["y"].name, {signature.inputs["x"].name: x[:3]})
    assert np.allclose(y, predict(mox, tmp_path)[:3], atol=1e-5)


@pytest.mark.eager
def test_tensorflow_serves_an_exported_network(mox, tmp_path):
    """Trained, predicted and exported in Python; the network was built in C++."""
    images = np.random.RandomState(0).rand(10, 28, 28, 1).astype(np.float32)

    def input_fn(mode):
        ds = tf.data.Dataset.from_tensor_slices((images, np.arange(10)))
        return tf.data.make_one_shot_iterator(ds.repeat() if mode == mox.ModeKeys.TRAIN else ds).get_next()

    def model_fn(inputs, mode):
        logits, _ = mox.get_model_fn("lenet", mode, 10)(inputs[0])
        loss = tf.losses.sparse_softmax_cross_entropy(inputs[1], logits)
        return mox.ModelSpec(loss=loss, output_info={"y": logits}, export_spec=mox.ExportSpec({"images": inputs[0]}, {"logits": logits}))

    result = mox.run(**toy.options(tmp_path, 3, input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.01),
                                   export_model=mox.ExportKeys.TF_SERVING))
    got = []
    mox.run(**toy.options(tmp_path, 0, input_fn=input_fn, model_fn=model_fn, run_mode=mox.ModeKeys.PREDICT, output_fn=got.extend))
    expected = np.concatenate([output["y"] for output in got])
    assert np.allclose(served(result.export_dir, images=images)["logits"], expected, atol=1e-5)


def test_tensorboard_reads_our_events(mox, tmp_path):
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        tf.summary.scalar("mine", spec.loss * 2)
        tf.summary.histogram("inputs", inputs[0])
        return spec

    mox.run(**toy.options(tmp_path, 31, model_fn=model_fn, save_summary_steps=10))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    loss = events.Scalars("loss")
    assert [event.step for event in loss] == [0, 10, 20, 30]
    assert loss[-1].value < loss[0].value
    assert np.allclose([event.value for event in events.Scalars("mine")], [2 * event.value for event in loss])
    assert {event.value for event in events.Scalars("learning_rate")} == {np.float32(0.1)}
    assert "sample/sec" in events.Tags()["scalars"] and "inputs" in events.Tags()["histograms"]
    assert events.Graph().node


@pytest.mark.skipif(not MOX.exists(), reason="the program is not built")
@pytest.mark.eager
def test_the_program_and_python_agree(mox, mnist_dir, tmp_path):
    """Trained and exported by `mox`: TensorFlow reads and serves it, and Python predicts with its checkpoint."""
    def command(*args):
        return subprocess.run([MOX, *args], check=True, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}).stdout

    run = tmp_path / "run"
    command("train", "--model_name=lenet", "--dataset_name=mnist", f"--data_url={mnist_dir}", f"--train_url={run}", "--batch_size=50",
            "--max_number_of_steps=20", "--optimizer=momentum", "--learning_rate_strategy=10:0.01")
    exported = command("export", f"--checkpoint_url={run}").strip()
    images = (np.random.RandomState(0).rand(7, 28, 28, 1) * 2 - 1).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    command("predict", f"--checkpoint_url={run}", "--preprocess=none", f"--output_url={tmp_path}/out.npy", "--values=logits", str(tmp_path / "images.npy"))
    expected = np.load(tmp_path / "out.npy")
    assert expected.shape == (7, 10)
    assert np.allclose(served(exported, images=images)["logits"], expected, atol=1e-5)
    assert tf.train.load_checkpoint(str(run)).get_tensor("global_step") == 20

    def model_fn(inputs, mode):
        return mox.ModelSpec(output_info={"y": mox.get_model_fn("lenet", mode, 10)(inputs[0])[0]})

    def input_fn(mode):
        return tf.data.make_one_shot_iterator(tf.data.Dataset.from_tensor_slices(images)).get_next()

    got = []
    mox.run(**toy.options(run, 0, input_fn=input_fn, model_fn=model_fn, run_mode=mox.ModeKeys.PREDICT, output_fn=got.extend))
    assert np.allclose(np.concatenate([output["y"] for output in got]), expected, atol=1e-5)
