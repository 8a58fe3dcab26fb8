"""Data sets as scripts that were written for MoXing use them: names, signatures, classes to derive from."""
import inspect

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from pictures import in_session, write_records

# The manual's, in their order; what came later stands behind.
SIGNATURES = {
    "ImageClassificationRawMetadata": "base_dir, redirect_dir=None, labels_filename='labels.txt'",
    "ImageClassificationRawDataset":
        "metadata, batch_size=None, num_readers=8, num_epochs=None, shuffle=True, shuffle_buffer_size=16, capacity=256, "
        "cache_dir=None, preprocess_fn=None, preprocess_threads=12, image_size=None, remove_cache_on_finish=True, "
        "private_num_threads=0, reader_class=None, reader_kwargs=None, drop_remainder=False, augmentation_fn=None, "
        "label_one_hot=False",
    "ImageClassificationTFRecordMetadata":
        "base_dir, file_pattern=None, num_samples=None, redirect_dir=None, num_classes=0, label_map_file='labels.txt'",
    "ImageClassificationTFRecordDataset":
        "metadata=None, batch_size=None, shuffle=True, shuffle_buffer_size=6400, num_parallel=8, num_epochs=None, "
        "cache_dir=None, preprocess_fn=None, image_size=None, remove_cache_on_finish=True, private_num_threads=0, "
        "custom_feature_keys=None, custom_feature_values=None, drop_remainder=False, augmentation_fn=None, "
        "label_one_hot=False",
    "MultilabelClassificationRawMetadata":
        "base_dir, images_sub_dir='images', labels_sub_dir='labels', labels_extension='txt', redirect_dir=None, "
        "labels_filename='labels.txt'",
    "MultilabelClassificationRawDataset":
        "metadata, batch_size=None, num_readers=8, num_epochs=None, shuffle=True, shuffle_buffer_size=16, capacity=256, "
        "cache_dir=None, preprocess_fn=None, preprocess_threads=12, image_size=None, remove_cache_on_finish=True, "
        "private_num_threads=0, reader_class=None, reader_kwargs=None, drop_remainder=False, label_sep='\\n', "
        "skip_label_not_found=False, augmentation_fn=None",
    "get_dataset": "name, split_name, dataset_dir, capacity=256",
    "get_tfrecord":
        "dataset_dir, file_pattern, keys_to_features, items_to_handlers, num_samples=None, num_epochs=None, shuffle=True",
    "split_image_classification_dataset": "split_spec, src_dir, dst_dir, overwrite=False",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_of_the_manual(mox, name):
    signature = inspect.signature(getattr(mox, name))
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert str(signature.replace(parameters=plain))[1:-1].startswith(SIGNATURES[name])


def test_split_from_where_scripts_import_it(folders, tmp_path):
    from moxing.tensorflow.datasets.raw.raw_dataset import split_image_classification_dataset
    assert split_image_classification_dataset(split_spec={"train": 0.9, "eval": 0.1}, src_dir=folders, dst_dir=str(tmp_path),
                                              overwrite=False) == {"train": 21, "eval": 3}


BANDS = 4 * 4
BAND_KEYS = ["band_1", "band_2", "angle", "label"]
BAND_VALUES = [tf.FixedLenFeature((BANDS,), tf.float32, default_value=None), tf.FixedLenFeature((BANDS,), tf.float32),
               tf.FixedLenFeature([], tf.float32), tf.FixedLenFeature([], tf.int64)]


@pytest.fixture(scope="session")
def bands(tmp_path_factory):
    """Records of two radar bands, an angle and a label, as a public script for MoXing has them."""
    folder = tmp_path_factory.mktemp("bands")
    write_records(folder / "bands-train-0.tfrecord",
                  [{"band_1": [float(i)] * BANDS, "band_2": [i + 0.5] * BANDS, "angle": float(i), "label": i} for i in range(6)])
    return str(folder)


def test_a_class_with_build_features(mox, bands):
    from moxing.tensorflow.datasets.tfrecord_common import BaseTFRecordDataset, ImageClassificationTFRecordMetadata
    calls = []

    class Bands(BaseTFRecordDataset):
        def _build_features(self, band_1, band_2, angle, label):
            calls.append(band_1.shape.as_list())
            noise = tf.random.uniform([])
            self._add_feature("image", tf.stack([tf.reshape(band_1, [4, 4]), tf.reshape(band_2, [4, 4])], 2) + noise)
            self._add_feature("noise", noise)
            self._add_feature("angle", angle)
            self._add_feature("label", label)

    metadata = ImageClassificationTFRecordMetadata(bands, "bands-train-*.tfrecord", num_samples=6, redirect_dir=None)
    dataset = Bands(metadata, feature_keys=BAND_KEYS, feature_values=BAND_VALUES, shuffle=False, num_parallel=16, num_epochs=1)
    assert dataset.keys() == ["image", "noise", "angle", "label"]
    rows = in_session(lambda: dataset.get(["noise", "label", "image"]))
    assert [label for _, label, _ in rows] == [0, 1, 2, 3, 4, 5]
    for noise, label, image in rows:  # one draw a record, whichever items use it
        np.testing.assert_allclose(image[2, 3], [label + noise, label + 0.5 + noise], rtol=1e-6)
    assert set(map(tuple, calls)) == {(BANDS,)}
    with tf.Graph().as_default(), pytest.raises(ValueError, match="no 'sound'; it has: image, noise, angle, label"):
        dataset.get(["sound"])


def test_build_features_gets_features_of_any_length_as_sparse_tensors(mox, bands):
    class Lengths(mox.BaseTFRecordDataset):
        def _build_features(self, band):
            self._add_feature("dense", tf.sparse.to_dense(band))

    dataset = Lengths(mox.BaseTFRecordMetadata(bands, "*"), feature_keys=["band_1"], feature_values=[tf.VarLenFeature(tf.float32)],
                      shuffle=False, num_epochs=1)
    assert [list(band) for band, in in_session(lambda: dataset.get("dense"))] == [[i] * BANDS for i in range(6)]


def test_mistakes_in_build_features(mox, bands):
    metadata = mox.BaseTFRecordMetadata(bands, "*")

    class Nothing(mox.BaseTFRecordDataset):
        def _build_features(self, label):
            pass

    with pytest.raises(ValueError, match="Nothing._build_features has not called _add_feature"):
        Nothing(metadata, feature_keys=["label"], feature_values=BAND_VALUES[3:]).keys()
    with pytest.raises(ValueError, match="2 feature_keys and 1 feature_values"):
        Nothing(metadata, feature_keys=["label", "angle"], feature_values=BAND_VALUES[3:])
    with pytest.raises(ValueError, match="Nothing has no keys_to_features"):
        Nothing(metadata).keys()
    with pytest.raises(ValueError, match="belongs into _build_features"):
        Nothing(metadata, feature_keys=["label"], feature_values=BAND_VALUES[3:])._add_feature("x", 1)


def test_a_class_of_metadata(mox, records):
    class Mine(mox.BaseTFRecordMetadata):
        def __init__(self, folder):
            super().__init__(folder, "train*")
            self.task = "flowers"

    metadata = Mine(records)
    assert metadata.num_samples == metadata.total_num_samples == 24 and metadata.task == "flowers"
    # The manual: metadata is "an instance of BaseTFRecordMetadata".
    rows = in_session(lambda: mox.ImageClassificationTFRecordDataset(metadata, num_epochs=1, image_size=4).get(["image", "label"]))
    assert sorted(label for _, label in rows) == [0] * 8 + [1] * 8 + [2] * 8

    class Forgetful(mox.BaseTFRecordMetadata):
        def __init__(self):
            pass

    with pytest.raises(ValueError, match="Forgetful has not called super"):
        mox.ImageClassificationTFRecordDataset(Forgetful())


def test_a_default_value_that_is_a_tensor(mox, bands):
    """As in the original's own documentation."""
    def get():
        features = {"missing": tf.FixedLenFeature([1], tf.int64, default_value=tf.zeros([1], dtype=tf.int64))}
        return mox.get_tfrecord(dataset_dir=bands, file_pattern="*.tfrecord", keys_to_features=features,
                                items_to_handlers={"missing": "missing"}, num_epochs=1).get(["missing"])

    assert [list(value) for value, in in_session(get)] == [[0]] * 6
    with tf.Graph().as_default(), pytest.raises(ValueError, match="feature x: its default_value"):
        features = {"x": tf.FixedLenFeature([], tf.int64, default_value=tf.placeholder(tf.int64, []))}
        mox.get_tfrecord(bands, "*", features, {"x": "x"}).keys()


def test_paths_and_numbers_of_other_types(mox, folders, records):
    import pathlib
    raw = mox.ImageClassificationRawMetadata(pathlib.Path(folders))
    rows = in_session(lambda: mox.ImageClassificationRawDataset(raw, batch_size=np.int32(6), image_size=np.int64(8), num_epochs=np.int64(1),
                                                                capacity=np.uint8(3)).get(["image"]))
    assert [images.shape for images, in rows] == [(6, 8, 8, 3)] * 4
    assert mox.BaseTFRecordMetadata(pathlib.Path(records), "train*").num_samples == 24


@pytest.mark.parametrize("make,message", [
    (lambda mox, folders: mox.ImageClassificationRawMetadata(None), "base_dir is None, expected a path"),
    (lambda mox, folders: mox.ImageClassificationRawDataset(folders), "metadata is '.*', expected a mox.ImageClassificationRawMetadata"),
    (lambda mox, folders: mox.MultilabelClassificationRawDataset(mox.ImageClassificationRawMetadata(folders)),
     "expected a mox.MultilabelClassificationRawMetadata"),
    (lambda mox, folders: mox.ImageClassificationTFRecordDataset(mox.ImageClassificationRawMetadata(folders)),
     "expected a mox.BaseTFRecordMetadata"),
    (lambda mox, folders: mox.ImageClassificationTFRecordDataset(), "metadata is needed"),
    (lambda mox, folders: mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(folders), cache_dir="/proc/cache"),
     "cache_dir: folder /proc/cache cannot be written"),
    (lambda mox, folders: mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(folders), cache_dir="obs://b/cache"),
     "expected a folder on a local disk"),
])
def test_what_does_not_fit_is_named(mox, folders, make, message):
    with pytest.raises(ValueError, match=message):
        make(mox, folders)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_broken_files_are_named_before_a_function_of_the_users(mox, folders, tmp_path, batch_size):
    """tf.image.decode_image cannot say which file it failed on."""
    (tmp_path / "roses").mkdir()
    with open(f"{folders}/roses/0.png", "rb") as f:
        whole = f.read()
    for i in range(4):
        (tmp_path / "roses" / f"{i}.png").write_bytes(whole)
    (tmp_path / "roses" / "cut.png").write_bytes(whole[:-30])

    def preprocess_fn(image_name, image_buf, label, label_desc):
        def decode(buf):
            return tf.cast(tf.image.resize_images(tf.image.decode_png(buf, channels=3), [8, 8]), tf.float32)
        image = decode(image_buf) if batch_size is None else tf.map_fn(decode, image_buf, dtype=tf.float32)
        return image_name, image, label, label_desc

    metadata = mox.ImageClassificationRawMetadata(tmp_path)

    def get(max_broken_samples):
        return lambda: mox.ImageClassificationRawDataset(metadata, batch_size=batch_size, preprocess_fn=preprocess_fn, num_epochs=1,
                                                         max_broken_samples=max_broken_samples).get(["image", "label"])

    with pytest.raises(tf.errors.DataLossError, match="cut.png: the PNG is cut off"):
        in_session(get(0))
    assert sum(np.size(label) for _, label in in_session(get(1))) == 4
