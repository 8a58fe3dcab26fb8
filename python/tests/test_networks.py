"""What is built in C++ and imported: networks, preprocessing, data sets, learning rates."""
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf


def lenet_model_fn(mox, **arguments):
    def model_fn(inputs, run_mode, **kwargs):
        images, labels = inputs
        logits, end_points = mox.get_model_fn(name="lenet", run_mode=run_mode, num_classes=10, **arguments)(images)
        loss = tf.losses.softmax_cross_entropy(logits=logits, onehot_labels=tf.one_hot(labels, 10))
        decay = mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        if decay:
            loss += tf.add_n(decay)
        accuracy = tf.reduce_mean(tf.cast(tf.nn.in_top_k(logits, labels, 1), tf.float32))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss, "accuracy": accuracy}, output_info={"logits": logits},
                             export_spec=mox.ExportSpec({"images": images}, {"logits": logits}, version="model"))

    return model_fn


def lenet_input_fn(mox, mnist_dir, **arguments):
    def input_fn(run_mode, **kwargs):
        split = "train" if run_mode == mox.ModeKeys.TRAIN else "test"
        dataset = mox.get_dataset(name="mnist", split_name=split, dataset_dir=mnist_dir, capacity=400, **arguments)
        image, label = dataset.get(["image", "label"])
        return mox.get_data_augmentation_fn("lenet", run_mode, output_height=28, output_width=28)(image), label

    return input_fn


def test_lenet_on_mnist_end_to_end(mox, mnist_dir, tmp_path):
    """The manual's example of built-in networks and data sets."""
    def optimizer_fn():
        lr = mox.learning_rate_scheduler.piecewise_lr("2:0.01->0.02,5:0.01", num_samples=600, global_batch_size=50)
        return mox.get_optimizer_fn("momentum", learning_rate=lr, momentum=0.9)()

    common = dict(model_fn=lenet_model_fn(mox, weight_decay=1e-4), batch_size=50, log_dir=str(tmp_path))
    trained = mox.run(input_fn=lenet_input_fn(mox, mnist_dir), optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN,
                      max_number_of_steps=40, export_model=mox.ExportKeys.TF_SERVING, **common)
    assert trained.export_dir == str(tmp_path / "model")
    assert (tmp_path / "labels.txt").read_text().startswith("0: 0\n")
    evaluated = mox.run(input_fn=lenet_input_fn(mox, mnist_dir, num_epochs=1), run_mode=mox.ModeKeys.EVAL, **common)
    assert evaluated.steps == 4
    assert evaluated.metrics["accuracy"] > 0.95


def test_variables_end_points_and_gradients(mox):
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 28, 28, 1])
        with tf.variable_scope("outer"):
            logits, end_points = mox.get_model_fn("lenet", mox.ModeKeys.TRAIN, 10, weight_decay=0.1)(images)
        assert logits.shape.as_list() == [None, 10]
        assert list(end_points) == ["conv1", "pool1", "conv2", "pool2", "Flatten", "fc3", "dropout3", "Logits", "Predictions"]
        variables = {v.op.name: v for v in tf.trainable_variables()}
        assert list(variables) == [f"outer/LeNet/{layer}/{kind}" for layer in ("conv1", "conv2", "fc3", "fc4") for kind in ("weights", "biases")]
        assert len(tf.losses.get_regularization_losses()) == 4
        gradients = tf.gradients(tf.reduce_sum(logits), list(variables.values()))
        assert all(g is not None and g.shape == v.shape for g, v in zip(gradients, variables.values()))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            weights = session.run(variables["outer/LeNet/fc3/weights"])
            assert 0.08 < weights.std() < 0.1 and abs(weights).max() < 0.2001  # truncated normal, 0.1
            decay = session.run(tf.losses.get_regularization_losses()[2])
            assert np.isclose(decay, 0.05 * (weights ** 2).sum(), rtol=1e-4)
            probabilities = session.run(end_points["Predictions"], {images: np.zeros((3, 28, 28, 1))})
            assert np.allclose(probabilities.sum(1), 1, atol=1e-5)


def test_reuse_shares_variables_and_counts_weight_decay_once(mox):
    with tf.Graph().as_default():
        images = tf.zeros([2, 28, 28, 1])
        network = mox.get_model_fn("lenet", mox.ModeKeys.EVAL, 10, weight_decay=0.1)
        first, _ = network(images)
        with tf.variable_scope(tf.get_variable_scope(), reuse=True):
            second, _ = network(images)
        assert len(tf.trainable_variables()) == 8
        assert len(tf.losses.get_regularization_losses()) == 4
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            assert np.array_equal(*session.run([first, second]))
        with pytest.raises(ValueError, match="LeNet/conv1/weights already exists"):
            network(images)


def test_half_precision_on_float_variables(mox):
    with tf.Graph().as_default():
        with mox.var_scope(force_dtype=tf.float32):
            logits, _ = mox.get_model_fn("lenet", mox.ModeKeys.TRAIN, 10)(tf.zeros([2, 28, 28, 1], tf.float16))
        assert logits.dtype == tf.float16
        assert {v.dtype.base_dtype for v in tf.global_variables()} == {tf.float32}
        assert tf.gradients(logits, tf.trainable_variables())[0].dtype == tf.float32


def test_preprocess_fn_and_resizing(mox):
    def logits_of(images, mode=mox.ModeKeys.PREDICT, **arguments):
        return mox.get_model_fn("lenet", mode, 10, image_height=28, image_width=28, **arguments)(images)[0]

    with tf.Graph().as_default():
        assert logits_of(tf.zeros([2, 50, 40, 1], tf.uint8)).shape == [2, 10]
    with tf.Graph().as_default():
        seen = []
        logits_of(tf.zeros([2, 50, 40, 1]), preprocess_fn=lambda images: seen.append(images.shape.as_list()) or images[:, :28, :28])
        assert seen == [[2, 50, 40, 1]]
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="expected a floating point type"):
            logits_of(tf.zeros([2, 28, 28, 1], tf.uint8), preprocess_fn=None)


def test_two_devices_share_a_network(mox, mnist_dir, tmp_path):
    mox.set_flag("num_gpus", 2)
    result = mox.run(input_fn=lenet_input_fn(mox, mnist_dir), model_fn=lenet_model_fn(mox, weight_decay=1e-3),
                     optimizer_fn=mox.get_optimizer_fn("sgd", 0.01), run_mode=mox.ModeKeys.TRAIN, batch_size=25,
                     log_dir=str(tmp_path), max_number_of_steps=3)
    assert np.isfinite(result.metrics["loss"])
    names = tf.train.load_checkpoint(result.checkpoint).get_variable_to_shape_map()
    assert len(names.keys() - {"input_order_seed", "input_place"}) == 9


def test_augmentation_inside_a_map_function(mox):
    augment = mox.get_data_augmentation_fn("lenet", mox.ModeKeys.EVAL, output_height=20, output_width=20)
    with tf.Graph().as_default(), tf.Session() as session:
        images = np.full([3, 30, 28, 1], 255, np.uint8)
        ds = tf.data.Dataset.from_tensor_slices(images).map(augment).batch(3)
        out = session.run(tf.data.make_one_shot_iterator(ds).get_next())
    assert out.shape == (3, 20, 20, 1) and np.allclose(out, (255 - 128) / 128)


def test_piecewise_lr_follows_the_global_step(mox):
    with tf.Graph().as_default(), tf.Session() as session:
        lr = mox.learning_rate_scheduler.piecewise_lr("5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08", num_samples=1000, global_batch_size=100)
        step = tf.train.get_global_step()
        session.run(tf.global_variables_initializer())
        found = []
        for epoch in (0, 2.5, 5, 7.5, 10, 14, 15, 30):
            session.run(tf.assign(step, int(epoch * 10)))
            found.append(session.run(lr))
    assert np.allclose(found, [0.1, 0.25, 0.4, np.sqrt(0.32), 0.8, 0.8, 0.08, 0.08])


def test_metas_and_keys(mox):
    assert mox.NetworkKeys.LENET == "lenet"
    assert mox.PreprocessingKeys.LENET == "lenet_preprocessing"
    assert mox.get_model_meta("lenet").default_image_size == 28
    meta = mox.get_dataset_meta("mnist")
    train, evaluation = meta.splits_to_sizes.keys()
    assert (train, evaluation, meta.num_classes) == ("train", "test", 10)


def test_missing_data_files(mox, tmp_path):
    with pytest.raises(FileNotFoundError, match="has neither train-images"):
        mox.get_dataset("mnist", "train", str(tmp_path))
    with pytest.raises(ValueError, match="no argument 'fast'"):
        mox.get_data_augmentation_fn("lenet", mox.ModeKeys.TRAIN, fast=True)


def test_networks_and_optimizers_where_version_2_is_off():
    """tf.disable_v2_behavior is for a whole process, so for one of its own."""
    script = """
import numpy as np, tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
import moxing.tensorflow as mox
def input_fn(mode):
    data = tf.data.Dataset.from_tensor_slices((np.random.RandomState(0).rand(16, 28, 28, 1).astype("f"), np.arange(16) % 10))
    return data.repeat().make_one_shot_iterator().get_next()
def model_fn(inputs, mode):
    logits, _ = mox.get_model_fn("lenet", mode, 10, weight_decay=1e-4)(inputs[0])
    loss = tf.losses.sparse_softmax_cross_entropy(inputs[1], logits)
    return mox.ModelSpec(loss=loss + tf.add_n(mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)))
momentum = mox.get_optimizer_fn("momentum", 0.01)
for optimizer_fn in (mox.get_optimizer_fn("adamw", 0.01), mox.get_optimizer_fn("lamb", 0.01),
                     mox.get_optimizer_wrapper_fn("lars", momentum), mox.get_optimizer_wrapper_fn("batch_gradients", momentum, num_batches=2),
                     mox.get_optimizer_wrapper_fn("dgc", mox.get_optimizer_fn("sgd", 0.01), sparsity_strategy=[0.5], num_samples=16,
                                                  global_batch_size=8)):
    print(mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode="TRAIN", batch_size=8,
                  max_number_of_steps=2).steps)
mox.learning_rate_scheduler.piecewise_lr("5:0.1", 16, 8)  # makes the global step of a graph that has none
assert hasattr(tf.train.get_global_step(), "handle")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["2"] * 5), done.stderr
