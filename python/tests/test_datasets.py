"""Data sets of image files on disk: the manual's examples, and Python functions in the pipelines."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from pictures import CLASSES, in_session, plain_image, train


def test_manual_raw_metadata(mox, folders):
    metadata = mox.ImageClassificationRawMetadata(base_dir=folders)
    assert metadata.total_num_samples == 24
    assert metadata.num_classes == 3
    assert metadata.labels_list == CLASSES
    assert metadata.names_to_labels == {"daisy": 0, "roses": 1, "tulips": 2}
    assert metadata.names_to_labels is metadata.names_to_labels, "made anew for each sample of a loop it is quadratic"
    metadata.labels_list.append("whoever changes the list has one of their own")
    assert metadata.labels_list == ["daisy", "roses", "tulips"]
    assert metadata.labels_to_names == {0: "daisy", 1: "roses", 2: "tulips"}


def test_manual_labels_file(mox, folders, tmp_path):
    (tmp_path / "labels.txt").write_text("0: tulips\n1: daisy\n2: roses\n")
    for name in CLASSES:
        (tmp_path / name).symlink_to(f"{folders}/{name}")
    metadata = mox.ImageClassificationRawMetadata(base_dir=str(tmp_path), labels_filename="labels.txt")
    assert metadata.labels_list == ["tulips", "daisy", "roses"]


def test_manual_raw_dataset(mox, folders):
    metadata = mox.ImageClassificationRawMetadata(base_dir=folders)

    def get():
        dataset = mox.ImageClassificationRawDataset(metadata, num_epochs=2)
        return dataset.get(["image", "label", "label_desc", "image_name"])

    rows = in_session(get)
    assert len(rows) == 48
    for image, label, label_desc, image_name in rows:
        assert label_desc.decode() == CLASSES[label]
        assert f"/{CLASSES[label]}/" in image_name.decode()
        np.testing.assert_array_equal(image[0, 0], plain_image(label, 1, 1)[0, 0])
    first, second = ([row[3] for row in part] for part in (rows[:24], rows[24:]))
    assert sorted(first) == sorted(second) and first != second


@pytest.mark.parametrize("v2", [True, False], ids=["control flow 2", "control flow 1"])
def test_manual_preprocess_fn(mox, folders, v2):
    """The manual's own function; scripts that call disable_v2_behavior have the old loops."""
    was = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if v2 else tf.disable_control_flow_v2)()
    metadata = mox.ImageClassificationRawMetadata(base_dir=folders)

    def _decode_and_resize(buf):
        img = tf.image.decode_image(buf, channels=3)
        img.set_shape([None, None, 3])
        img = tf.image.resize_images(img, size=[224, 224])
        img.set_shape([224, 224, 3])
        return img

    def preprocess_fn(image_name, image_buf, label, label_desc):
        image = tf.map_fn(_decode_and_resize, image_buf, dtype=tf.float32, back_prop=False)
        return image_name, image, label, label_desc

    def get():
        dataset = mox.ImageClassificationRawDataset(metadata, batch_size=8, preprocess_fn=preprocess_fn, num_epochs=1)
        tensors = dataset.get(["image", "label"])
        assert tensors[0].shape.as_list() == [None, 224, 224, 3]
        return tensors

    try:
        rows = in_session(get)
    finally:
        (tf.enable_control_flow_v2 if was else tf.disable_control_flow_v2)()
    assert [images.shape for images, _ in rows] == [(8, 224, 224, 3)] * 3
    for images, labels in rows:
        for image, label in zip(images, labels):
            np.testing.assert_array_equal(image[100, 100], plain_image(label, 1, 1)[0, 0])


def test_training_on_batches_with_the_augmentation_of_a_network(mox, folders, tmp_path):
    """The manual's ResNet script: batches, augmentation_fn of C++, AsyncRawGenerator."""
    metadata = mox.ImageClassificationRawMetadata(base_dir=folders)

    def input_fn(mode, **kwargs):
        data_augmentation_fn = mox.get_data_augmentation_fn(name="resnet_v1_50", run_mode=mode, output_height=32,
                                                            output_width=32)
        dataset = mox.ImageClassificationRawDataset(metadata, batch_size=4, augmentation_fn=data_augmentation_fn,
                                                    reader_class=mox.AsyncRawGenerator)
        return dataset.get(["image", "label"])

    fed = train(mox, input_fn, tmp_path, auto_batch=False)
    means = np.array([123.68, 116.779, 103.939])
    for row in fed:
        assert row["images"].shape == (4, 32, 32, 3)
        for image, label in zip(row["images"], row["labels"]):
            np.testing.assert_allclose(image[16, 16] + means, plain_image(label, 1, 1)[0, 0], atol=0.01)


def test_training_on_single_images(mox, folders, tmp_path):
    """The manual's EarlyStopping script: per-sample images, augmented in input_fn."""

    def input_fn(mode, **kwargs):
        meta = mox.ImageClassificationRawMetadata(base_dir=folders)
        dataset = mox.ImageClassificationRawDataset(meta)
        image, label = dataset.get(["image", "label"])
        image.set_shape([None, None, 3])
        image = mox.get_data_augmentation_fn(name="resnet_v1_50", run_mode=mode, output_height=32, output_width=32)(image)
        return image, label

    assert train(mox, input_fn, tmp_path)[0]["images"].shape == (4, 32, 32, 3)


def test_python_augmentation_with_numpy_and_outer_tensors(mox, folders, tmp_path):
    metadata = mox.ImageClassificationRawMetadata(base_dir=folders)
    calls = []

    def brighten(image):
        calls.append(image.shape)
        return image + np.uint8(5)

    def input_fn(mode):
        scale = tf.constant(2.0)  # used inside, made outside

        def augmentation_fn(image):
            image = tf.image.resize_images(image, [8, 8])
            image = tf.numpy_function(brighten, [tf.cast(image, tf.uint8)], tf.uint8)
            image.set_shape([8, 8, 3])
            return tf.cast(image, tf.float32) * scale

        dataset = mox.ImageClassificationRawDataset(metadata, batch_size=4, augmentation_fn=augmentation_fn,
                                                    label_one_hot=True)
        return dataset.get(["image", "label"])

    fed = train(mox, input_fn, tmp_path, auto_batch=False)
    for row in fed:
        labels = row["labels"].argmax(1)
        np.testing.assert_array_equal(row["images"][:, 0, 0], [(plain_image(k, 1, 1)[0, 0] + 5) * 2.0 for k in labels])
    assert len(calls) >= 24 and set(calls) == {(8, 8, 3)}


def test_errors_of_python_functions_come_out(mox, folders, tmp_path):
    metadata = mox.ImageClassificationRawMetadata(base_dir=folders)

    def input_of(augmentation_fn, **options):
        def input_fn(mode):
            return mox.ImageClassificationRawDataset(metadata, augmentation_fn=augmentation_fn, **options).get(
                ["image", "label"])
        return input_fn

    def broken(image):
        raise KeyError("my own mistake")

    with pytest.raises(KeyError, match="my own mistake"):
        train(mox, input_of(broken), tmp_path)

    def fails_later(image):
        def in_numpy(value):
            raise ZeroDivisionError("at run time")
        image = tf.numpy_function(in_numpy, [image], tf.uint8)
        image.set_shape([8, 8, 3])
        return image

    with pytest.raises(ZeroDivisionError, match="at run time"):
        train(mox, input_of(fails_later), tmp_path)

    def with_variable():
        weight = tf.Variable(1.0, use_resource=True)
        return mox.ImageClassificationRawDataset(metadata, augmentation_fn=lambda image: tf.cast(image, tf.float32) * weight
                                                 ).get(["image", "label"])

    with pytest.raises(ValueError, match="augmentation_fn uses .*made outside of it"):
        train(mox, lambda mode: with_variable(), tmp_path)


@pytest.mark.parametrize("options,message", [
    ({"batch_size": 4}, "give image_size, preprocess_fn or augmentation_fn"),
    ({"image_size": "big"}, "image_size is 'big', expected one number or"),
    ({"num_readers": "many"}, "num_readers is 'many', expected an integer from 1 to 4096"),
    ({"augmentation_fn": 3}, "augmentation_fn must be a function, got int 3"),
    ({"augmentation_fn": lambda image: None}, "augmentation_fn returned None, expected a tensor"),
    ({"augmentation_fn": lambda image: tf.sparse.from_dense(image)}, "augmentation_fn returned SparseTensor.*, expected a tensor"),
    ({"preprocess_fn": lambda name, data, label, text: (name, None, label, text)}, "preprocess_fn returned None, expected a tensor"),
    ({"reader_class": "MyReader"}, "there is no reader_class 'MyReader'"),
    ({"reader_kwargs": {"num_readers": 4, "processes": 2}}, "reader_kwargs has no 'processes'"),
    ({"batch_size": 4, "preprocess_fn": lambda *a: a[:3]}, "takes and returns four tensors"),
])
def test_wrong_arguments(mox, folders, options, message):
    metadata = mox.ImageClassificationRawMetadata(folders)
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        mox.ImageClassificationRawDataset(metadata, **options).get(["image", "label"])


def test_get_needs_a_graph(mox, folders):
    dataset = mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(folders))
    if tf.executing_eagerly():
        with pytest.raises(ValueError, match="call get.. inside input_fn"):
            dataset.get(["image"])
    with tf.Graph().as_default(), pytest.raises(ValueError, match="has no 'images'; it has: image, label"):
        dataset.get(["images"])


def test_constant_tensors_as_arguments(mox, folders):
    metadata = mox.ImageClassificationRawMetadata(folders)

    def get():
        dataset = mox.ImageClassificationRawDataset(
            metadata, batch_size=5, image_size=8, num_epochs=1, drop_remainder=tf.constant(True),
            shuffle_buffer_size=tf.constant(16, tf.int64), private_num_threads=1, reader_kwargs={"num_readers": 4})
        return dataset.get(["image"])

    assert [images.shape for images, in in_session(get)] == [(5, 8, 8, 3)] * 4


def test_a_cache_is_used_and_removed(mox, folders, tmp_path):
    copy = tmp_path / "copy"
    for name in CLASSES:
        (copy / name).mkdir(parents=True)
        for i in range(2):
            with open(f"{folders}/{name}/{i}.png", "rb") as f:
                (copy / name / f"{i}.png").write_bytes(f.read())
    metadata = mox.ImageClassificationRawMetadata(base_dir=folders, redirect_dir=folders)
    cache = tmp_path / "cache"
    for remove in (False, True):
        def get():
            return mox.ImageClassificationRawDataset(metadata, num_epochs=1, cache_dir=str(cache),
                                                     remove_cache_on_finish=remove).get(["label"])
        assert len(in_session(get)) == 24
        assert (cache / "mox-cache").exists() != remove


def test_workers_read_their_own_parts(mox, folders):
    mox.set_flag("worker_hosts", "a:1,b:1,c:1")
    metadata = mox.ImageClassificationRawMetadata(folders)
    seen = []
    for index in range(3):
        mox.set_flag("task_index", index)
        seen.append([name for name, in in_session(
            lambda: mox.ImageClassificationRawDataset(metadata, num_epochs=1).get(["image_name"]))])
    assert [len(names) for names in seen] == [8, 8, 8]
    assert len(set(sum(seen, []))) == 24
    everything = in_session(lambda: mox.ImageClassificationRawDataset(metadata, num_epochs=1, num_shards=1, shard_index=0
                                                                      ).get(["image_name"]))
    assert len(everything) == 24
