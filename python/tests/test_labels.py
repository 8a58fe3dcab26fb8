"""Labels that are no class stop a run, whatever made them; and a run keeps its list of classes."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

CLASSES = 3


def from_generator(labels):
    def samples():
        for i in range(48):
            yield np.float32([i % labels, 1]), i % labels

    def input_fn(mode, **kwargs):
        dataset = tf.data.Dataset.from_generator(samples, (tf.float32, tf.int64), ([2], []))
        return tf.data.make_one_shot_iterator(dataset).get_next()

    return input_fn


def one_hot(labels, logits):
    return tf.losses.softmax_cross_entropy(tf.one_hot(labels, CLASSES), logits)


def smoothed(labels, logits):
    return tf.losses.softmax_cross_entropy(tf.one_hot(labels, CLASSES), logits, label_smoothing=0.1)


def by_hand(labels, logits):
    rows = tf.one_hot(tf.cast(labels, tf.int32), CLASSES)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=rows, logits=logits)) * 0.5


def sparse(labels, logits):
    return tf.losses.sparse_softmax_cross_entropy(labels, logits)


def left_out(labels, logits):
    weights = tf.cast(labels < CLASSES, tf.float32)
    return tf.losses.softmax_cross_entropy(tf.one_hot(labels, CLASSES), logits, weights=weights)


def train(mox, input_fn, loss_fn, log_dir=None, steps=2, **kwargs):
    def model_fn(inputs, mode, **_):
        x, labels = inputs
        loss = loss_fn(labels, tf.matmul(x, tf.get_variable("w", [2, CLASSES])))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss})

    mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", learning_rate=0.1),
            run_mode=mox.ModeKeys.TRAIN, batch_size=8, log_dir=log_dir, max_number_of_steps=steps, **kwargs)


@pytest.mark.parametrize("loss_fn", [one_hot, smoothed, by_hand, sparse])
def test_a_label_out_of_range_stops_the_training(mox, tmp_path, loss_fn):
    train(mox, from_generator(CLASSES), loss_fn)
    with pytest.raises(mox.RunError, match=r"label.* 3 "):
        train(mox, from_generator(CLASSES + 1), loss_fn, str(tmp_path / "run"))
    assert not list((tmp_path / "run").glob("model.ckpt-*"))


def test_rows_of_zeros_stop_the_training(mox):
    def input_fn(mode, **kwargs):
        x, label = from_generator(CLASSES + 1)(mode)
        return x, tf.one_hot(label, CLASSES)

    with pytest.raises(mox.RunError, match="labels of sample 3 of the batch are 3 zeros"):
        train(mox, input_fn, lambda rows, logits: tf.losses.softmax_cross_entropy(rows, logits))


def test_samples_of_weight_zero_may_have_any_label(mox):
    train(mox, from_generator(CLASSES + 1), left_out)


def test_an_own_label_of_preprocess_fn_is_checked(mox, folders):
    dataset = mox.ImageClassificationRawDataset(
        mox.ImageClassificationRawMetadata(folders), image_size=8, label_one_hot=True, num_epochs=1, batch_size=4,
        preprocess_fn=lambda name, image, label, desc: (name, tf.zeros([4, 8, 8, 3], tf.uint8), label + 1, desc))
    from pictures import in_session
    with pytest.raises(tf.errors.OpError, match="label 3, expected 0 to 2"):
        in_session(lambda: dataset.get(["label"]))


def test_a_training_goes_on_with_its_classes_alone(mox, folders, tmp_path):
    import shutil

    def input_fn(folder):
        def read(mode, **kwargs):
            dataset = mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(folder), image_size=4, seed=1)
            image, label = dataset.get(["image", "label"])
            return tf.cast(tf.reshape(image, [-1])[:2], tf.float32), label
        return read

    log_dir = str(tmp_path / "run")
    train(mox, input_fn(folders), sparse, log_dir)
    other = tmp_path / "other"
    shutil.copytree(folders, other)
    (other / "roses").rename(other / "violets")
    with pytest.raises(mox.InvalidArgumentError, match="the run alone has 'roses', the data alone has 'violets'"):
        train(mox, input_fn(str(other)), sparse, log_dir, steps=3)
    train(mox, input_fn(folders), sparse, log_dir, steps=3)

    def inter(mode, **kwargs):
        return input_fn(folders if mode == mox.ModeKeys.TRAIN else str(other))(mode)

    with pytest.raises(mox.InvalidArgumentError, match="inter_mode EVAL has other classes"):
        train(mox, inter, sparse, inter_mode=mox.ModeKeys.EVAL)
