"""Recipes in Python: schedules, freeze, finetune, averages, mixed batches, augmentation, class weights, lr_find."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy

pytestmark = pytest.mark.usefixtures("mox")


def values(log_dir, step):
    reader = tf.train.load_checkpoint(f"{log_dir}/model.ckpt-{step}")
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_schedules_are_strategies(mox):
    scheduler = mox.learning_rate_scheduler
    assert scheduler.schedule_strategy("cosine", 0.1, 90, 5) == "5:0->0.1,90:0.1~>0"
    assert scheduler.schedule_strategy("piecewise", 1, num_epochs=9, decay_epochs=[3, 6], decay_factor=0.5) == "3:1,6:0.5,9:0.25"
    with pytest.raises(mox.InvalidArgumentError, match="there is no schedule 'sine'"):
        scheduler.schedule_strategy("sine", 0.1, 9)


def test_an_option_that_an_optimizer_does_not_have(mox):
    with pytest.raises(mox.InvalidArgumentError, match="optimizer adamw has no option 'momentum'; there are: beta1"):
        mox.get_optimizer_fn("adamw", 0.1, momentum=0.9)


def test_freeze_and_model_ema(mox, tmp_path):
    options = toy.options(tmp_path, 6, freeze="^B$", model_ema=0.3, save_model_steps=1, keep_checkpoint_max=0)
    mox.run(**options)
    last = values(tmp_path, 6)
    assert last["b"] == 0 and "b/ExponentialMovingAverage" not in last
    mean = np.full([4, 1], 0.1)
    for step in range(6):
        d = min(0.3, (1 + step) / (10 + step))
        mean = d * mean + (1 - d) * values(tmp_path, step + 1)["w"]
    assert np.allclose(last["w/ExponentialMovingAverage"], mean, atol=1e-5)
    evaluated = {**toy.options(tmp_path, None, count=32), "log_dir": None, "run_mode": "EVAL", "checkpoint_path": str(tmp_path)}
    assert mox.run(**evaluated, use_ema=True).metrics["loss"] != mox.run(**evaluated).metrics["loss"]
    with pytest.raises(mox.InvalidArgumentError, match="freeze: 'c5' matches none of the 2 variables; near are"):
        mox.run(**toy.options(tmp_path / "c" / "run", 6, freeze="c5"))
    assert not (tmp_path / "c").exists(), "nothing is made before a training is found fit"


def test_averages_of_batch_norm(mox, tmp_path):
    def model_fn(inputs, mode):
        x, y_ = inputs
        with tf.variable_scope("norm"):
            beta = tf.get_variable("beta", [4], initializer=tf.zeros_initializer())
            mean = tf.get_variable("moving_mean", [4], initializer=tf.zeros_initializer(), trainable=False)
        now = tf.reduce_mean(x, 0)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_sub(mean, 0.5 * (mean - now)))
        x = x - (now if mode == "TRAIN" else mean) + beta
        return toy.model_fn((x, y_), mode)

    mox.run(**toy.options(tmp_path, 3, model_fn=model_fn, model_ema=0.9))
    found = values(tmp_path, 3)
    averaged = {name.rsplit("/", 1)[0] for name in found if name.endswith("/ExponentialMovingAverage")}
    assert averaged == {"w", "b", "norm/beta", "norm/moving_mean"}
    assert not np.array_equal(found["norm/moving_mean"], found["norm/moving_mean/ExponentialMovingAverage"])


def test_finetune(mox, tmp_path):
    mox.run(**toy.options(tmp_path / "a", 5))

    def model_fn(inputs, mode):
        head = tf.get_variable("head", [1], initializer=tf.ones_initializer())
        spec = toy.model_fn(inputs, mode)
        return mox.ModelSpec(loss=spec.loss * head[0], log_info={"loss": spec.loss})

    result = mox.run(**toy.options(tmp_path / "b", 1, model_fn=model_fn, finetune=str(tmp_path / "a"),
                                   optimizer_fn=mox.get_optimizer_fn("sgd", 0.0)))
    assert result.global_step == 1
    assert np.array_equal(values(tmp_path / "a", 5)["w"], values(tmp_path / "b", 1)["w"])
    assert "not in the checkpoint\thead\n" in (tmp_path / "b/finetune.txt").read_text()


def mixed(mox, draws, **how):
    images = np.sin(np.arange(4 * 6 * 5 * 3)).reshape(4, 6, 5, 3).astype(np.float32)
    with tf.Graph().as_default():
        tf.set_random_seed(3)
        batch = mox.mix_batch(tf.constant(images), tf.one_hot(np.arange(4), 4), **how)
        with tf.Session() as session:
            return images, [session.run(batch) for _ in range(draws)]


def test_mixup_against_numpy(mox):
    images, batches = mixed(mox, 50, mixup=0.4)
    shares = set()
    for found, labels in batches:
        own = labels[0, 0]
        shares.add(float(own))
        assert np.allclose(labels, own * np.eye(4) + (1 - own) * np.eye(4)[::-1], atol=1e-6)
        assert np.allclose(found, own * images + (1 - own) * images[::-1], atol=1e-5)
    assert len(shares) == 50 and 0.3 < np.mean(list(shares)) < 0.7


def test_cutmix_against_numpy(mox):
    images, batches = mixed(mox, 50, cutmix=1.0)
    for found, labels in batches:
        own = np.isclose(found[0], images[0], atol=1e-6).all(-1)
        assert np.isclose(found[0], images[3], atol=1e-6).all(-1)[~own].all()
        assert np.isclose(labels[0, 0], own.mean(), atol=1e-5)
        rows, columns = ~own.all(1), ~own.all(0)
        assert np.array_equal(~own, np.outer(rows, columns))  # a box


def test_mixing_draws_the_same_again(mox, tmp_path):
    """A training that goes on has the losses of one that was not interrupted."""
    def train(log_dir, steps, losses):
        def model_fn(inputs, mode):
            images = tf.reshape(tf.cast(inputs[0], tf.float32), [-1, 2, 2, 1])
            images, labels = mox.mix_batch(images, tf.one_hot(inputs[1], 3), mixup=0.5, cutmix=0.5)
            w = tf.get_variable("w", [4, 3], initializer=tf.zeros_initializer())
            logits = tf.matmul(tf.reshape(images, [-1, 4]), w)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits))
            return mox.ModelSpec(loss=loss, log_info={"loss": loss}, output_info={"loss": loss})

        def input_fn(mode):
            x = np.arange(4 * 24, dtype=np.float32).reshape(24, 4) / 96
            ds = tf.data.Dataset.from_tensor_slices((x, np.arange(24) % 3)).repeat()
            return tf.data.make_one_shot_iterator(ds).get_next()

        mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.1), run_mode="TRAIN", batch_size=24,
                log_dir=str(log_dir), max_number_of_steps=steps, random_seed=5, output_every_n_steps=1,
                output_fn=lambda outputs: losses.extend(float(o["loss"]) for o in outputs))

    whole, parts = [], []
    train(tmp_path / "whole", 6, whole)
    train(tmp_path / "parts", 2, parts)
    train(tmp_path / "parts", 6, parts)
    assert len(set(whole)) == 6 and whole == parts


def test_mixing_refuses(mox):
    with pytest.raises(mox.InvalidArgumentError, match="labels are int64, expected float32"):
        with tf.Graph().as_default():
            mox.mix_batch(tf.zeros([2, 4, 4, 3]), tf.zeros([2, 3], tf.int64), mixup=1)
    with pytest.raises(mox.InvalidArgumentError, match="mixup"):
        with tf.Graph().as_default():
            mox.mix_batch(tf.zeros([2, 4, 4, 3]), tf.zeros([2, 3]), mixup=-1)


def test_augmentation_options(mox):
    with tf.Graph().as_default():
        augment = mox.get_data_augmentation_fn("inception_v3", "TRAIN", 16, 16, augment="randaugment", crop_scale=[0.5, 1.0], vflip=0.5,
                                               random_erasing=0.5)
        image = augment(tf.constant(np.arange(40 * 30 * 3, dtype=np.uint8).reshape(40, 30, 3)))
        with tf.Session() as session:
            drawn = [session.run(image) for _ in range(5)]
    assert all(d.shape == (16, 16, 3) and np.isfinite(d).all() for d in drawn)
    with pytest.raises(mox.InvalidArgumentError, match="augment is none, and vflip is given"):
        mox.get_data_augmentation_fn("inception_v3", "TRAIN", augment="none", vflip=0.5)


def test_class_weights(mox):
    assert np.allclose(mox.balanced_class_weights([6, 2, 0]), [2 / 3, 2, 0])


def test_lr_find(mox):
    found = mox.lr_find(lambda rate: mox.get_optimizer_fn("sgd", rate), lowest=1e-5, highest=1e4,
                        **{key: value for key, value in toy.options("").items()
                           if key in ("input_fn", "model_fn", "batch_size")})
    rates = [point.learning_rate for point in found.points]
    assert 10 < len(rates) < 100 and rates[0] == pytest.approx(1e-5) and 1e-4 < found.suggestion < 1
    with pytest.raises(mox.InvalidArgumentError, match="log_dir"):
        mox.lr_find(lambda rate: None, log_dir="here")
    with pytest.raises(mox.InvalidArgumentError, match="lr_find: make_optimizer is 5, expected a function"):
        mox.lr_find(5)
