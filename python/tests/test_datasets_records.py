"""TFRecord files, labels for several classes, splits and conversions: the manual's examples."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from pictures import CLASSES, encode, in_session, plain_image, train


@pytest.fixture
def multilabel(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for i, labels in enumerate(["sky", "sky\nsea", "sea\nsun"]):
        (tmp_path / "images" / f"{i}.png").write_bytes(encode(plain_image(i, 10, 10)))
        (tmp_path / "labels" / f"{i}.png.txt").write_text(labels)
    return tmp_path


def test_manual_tfrecord(mox, records):
    tfrecord_meta = mox.ImageClassificationTFRecordMetadata(base_dir=records, file_patterns="*train*.tfrecord")
    assert tfrecord_meta.num_samples == 24
    assert tfrecord_meta.labels_to_names == dict(enumerate(CLASSES))
    with tf.Graph().as_default():
        tfrecord_dataset = mox.ImageClassificationTFRecordDataset(meta=tfrecord_meta)
        image, label = tfrecord_dataset.get(["image", "label"])
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            sess.run(tf.local_variables_initializer())
            coord = tf.train.Coordinator()
            threads = tf.train.start_queue_runners(coord=coord)
            for _ in range(10):
                image_eval, label_eval = sess.run([image, label])
                np.testing.assert_array_equal(image_eval[5, 5], plain_image(label_eval, 1, 1)[0, 0])
            coord.request_stop()
            coord.join(threads)


def test_tfrecord_custom_features_and_training(mox, records, tmp_path):
    metadata = mox.ImageClassificationTFRecordMetadata(records, "train*", num_samples=24)

    def input_fn(mode):
        dataset = mox.ImageClassificationTFRecordDataset(
            metadata, batch_size=4, image_size=(8, 12), custom_feature_keys=["image/height", "image/missing"],
            custom_feature_values=[tf.FixedLenFeature((), tf.int64), tf.FixedLenFeature([2], tf.float32, [0.5, 1.5])],
            label_one_hot=True)
        image, label, height, missing = dataset.get(["image", "label", "image/height", "image/missing"])
        image = tf.cast(image, tf.float32) + tf.reshape(tf.cast(height, tf.float32), [-1, 1, 1, 1])
        return image + tf.reduce_sum(missing, 1)[:, None, None, None], label

    row = train(mox, input_fn, tmp_path, auto_batch=False)[0]
    assert row["images"].shape == (4, 8, 12, 3) and row["labels"].shape == (4, 3)
    other = row["images"][np.arange(4), 0, 0, (row["labels"].argmax(1) + 1) % 3]
    assert set(other) <= set(np.arange(20, 28) + 2.0)


FEATURES = {
    "image/encoded": tf.FixedLenFeature((), tf.string), "image/class/label": tf.FixedLenFeature((), tf.int64),
    "image/width": tf.VarLenFeature(tf.int64),
}


class SlimHandler:
    """What TF-slim's item handlers are."""
    keys = ["image/width"]

    def tensors_to_item(self, keys_to_tensors):
        return tf.sparse.to_dense(keys_to_tensors["image/width"])


def check_items(rows):
    assert len(rows) == 24
    for image, label, next_label, width, slim_width in rows:
        assert image.shape == (8, 8, 3)
        np.testing.assert_array_equal(image[4, 4], plain_image(label, 1, 1)[0, 0])
        assert next_label == label + 1
        assert list(width) == list(slim_width) == [30]


ITEMS = ["image", "label", "next_label", "width", "slim_width"]


def items_of(mox):
    return {
        "image": mox.image_handler("image/encoded", 8), "label": mox.tensor_handler("image/class/label"),
        "next_label": lambda features: features["image/class/label"] + 1, "width": "image/width", "slim_width": SlimHandler(),
    }


def test_get_tfrecord(mox, records):
    check_items(in_session(lambda: mox.get_tfrecord(
        dataset_dir=records, file_pattern="train*", keys_to_features=FEATURES, items_to_handlers=items_of(mox), num_samples=24,
        num_epochs=1, shuffle=False).get(ITEMS)))


def test_subclass_of_base_tfrecord_dataset(mox, records):
    from moxing.tensorflow.datasets.tfrecord_common import BaseTFRecordDataset, BaseTFRecordMetadata

    class MyDataset(BaseTFRecordDataset):
        def __init__(self, metadata, **options):
            super().__init__(metadata, **options)
            self.features = FEATURES

        def keys_to_features(self):
            return self.features

        def items_to_handlers(self):
            return items_of(mox)

    metadata = BaseTFRecordMetadata(base_dir=records, file_pattern="train*")
    assert metadata.num_samples == 24
    dataset = MyDataset(metadata, num_epochs=1)
    assert dataset.keys() == ITEMS and dataset.total_num_samples == 24
    check_items(in_session(lambda: dataset.get(ITEMS)))
    with pytest.raises(ValueError, match="BaseTFRecordDataset has no keys_to_features"):
        BaseTFRecordDataset(metadata).keys()
    with tf.Graph().as_default(), pytest.raises(ValueError, match="keys_to_features lacks"):
        mox.get_tfrecord(records, "train*", FEATURES, {"x": "image/depth"}).get(["x"])


def test_manual_multilabel(mox, multilabel):
    metadata = mox.MultilabelClassificationRawMetadata(base_dir=str(multilabel))
    assert (metadata.total_num_samples, metadata.num_classes) == (3, 3)
    (multilabel / "labels.txt").write_text("0: sky 1: sea 2: sun")
    metadata = mox.MultilabelClassificationRawMetadata(base_dir=str(multilabel), labels_filename="labels.txt")
    assert metadata.labels_to_names == {0: "sky", 1: "sea", 2: "sun"}
    assert metadata.names_to_labels == {"sky": 0, "sea": 1, "sun": 2}

    def get(keys=("image", "label", "label_desc"), **options):
        return lambda: mox.MultilabelClassificationRawDataset(metadata, num_epochs=1, shuffle=False, **options).get(keys)

    rows = in_session(get())
    np.testing.assert_array_equal([label for _, label, _ in rows], [[1, 0, 0], [1, 1, 0], [0, 1, 1]])
    assert [desc for _, _, desc in rows] == [b"sky", b"sky\nsea", b"sea\nsun"]
    (multilabel / "labels" / "1.png.txt").unlink()
    metadata = mox.MultilabelClassificationRawMetadata(base_dir=str(multilabel))
    with pytest.raises(FileNotFoundError, match="1.png has no label file"):
        in_session(get())
    assert len(in_session(get(["image"], skip_label_not_found=True))) == 2


def test_split(mox, folders, tmp_path):
    parts = mox.split_image_classification_dataset({"train": 0.75, "eval": 0.25}, folders, str(tmp_path / "split"))
    assert parts == {"train": 18, "eval": 6}
    assert mox.ImageClassificationRawMetadata(str(tmp_path / "split" / "eval")).total_num_samples == 6
    with pytest.raises(ValueError, match="overwrite"):
        mox.split_image_classification_dataset({"train": 0.75}, folders, str(tmp_path / "split"))
    mox.split_image_classification_dataset([("train", 0.5)], folders, str(tmp_path / "split"), overwrite=True)


def test_convert_and_back(mox, folders, records, tmp_path):
    assert mox.tfrecord_to_folders(records, "train*", str(tmp_path / "back")).samples == 24
    assert mox.ImageClassificationRawMetadata(str(tmp_path / "back")).labels_list == CLASSES


def test_multilabel_without_labels(mox, multilabel):
    with pytest.raises(mox.DataError, match="has no labels: no file of .* ends in '.json'"):
        mox.MultilabelClassificationRawMetadata(str(multilabel), labels_extension="json")
    for path in (multilabel / "labels").iterdir():
        path.write_text("\n")
    with pytest.raises(mox.DataError, match=f"data folder {multilabel} has no labels: the 3 files of .*/labels that end in '.txt'"):
        mox.MultilabelClassificationRawMetadata(str(multilabel))


def test_what_batches_cannot_hold(mox, records):
    """An empty tensor in a batch ends the process in TensorFlow."""
    def get(**options):
        return mox.get_tfrecord(records, "train*", {"none": tf.VarLenFeature(tf.float32)}, {"none": mox.tensor_handler("none")},
                                num_epochs=1, **options).get(["none"])
    assert in_session(get)[0][0].shape == (0,)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"record at byte [0-9]+: its none has shape \[0\], so no values"):
        in_session(lambda: get(batch_size=2))
    for shape in ([0], [None], [-3], [2**20, 2**20], [1] * 255):
        with pytest.raises(mox.InvalidArgumentError, match="feature none has the shape"):
            in_session(lambda: mox.get_tfrecord(records, "train*", {"none": tf.FixedLenFeature(shape, tf.float32, 0)},
                                                {"none": mox.tensor_handler("none")}, num_samples=24).get(["none"]))


def test_auto_batch_of_nothing(mox, tmp_path):
    def input_fn(mode):
        cut = tf.data.Dataset.from_tensors(np.zeros([4, 3], np.float32)).repeat().map(lambda x: x[:tf.random.uniform([], 0, 1, tf.int32)])
        return tf.data.make_one_shot_iterator(cut).get_next(), tf.constant(0)

    with pytest.raises(mox.Error, match=r"output 0 of input_fn has shape \[0,3\], so no values"):
        mox.run(input_fn=input_fn, model_fn=lambda inputs, mode: mox.ModelSpec(loss=tf.reduce_sum(inputs[0]) * tf.get_variable("v", [])),
                optimizer_fn=mox.get_optimizer_fn("sgd", 0.0), run_mode=mox.ModeKeys.TRAIN, batch_size=2, max_number_of_steps=2)
