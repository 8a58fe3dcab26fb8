"""What writes image records and label files, with TF-Slim's names."""
import os
from typing import Any

from moxing._arguments import PathText, Text, checked
from moxing.tensorflow._runtime import tf

__all__ = ["LABELS_FILENAME", "bytes_feature", "float_feature", "has_labels", "image_to_tfexample", "int64_feature",
           "read_label_file", "write_label_file"]
LABELS_FILENAME = "labels.txt"
_FOLDER = PathText()


def _list(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]


def int64_feature(values: "Any") -> "tf.train.Feature":
    """values, an integer or a list of them, as a tf.train.Feature."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=_list(values)))


def bytes_feature(values: "Any") -> "tf.train.Feature":
    """values, bytes or a list of them, as a tf.train.Feature."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=_list(values)))


def float_feature(values: "Any") -> "tf.train.Feature":
    """values, a number or a list of them, as a tf.train.Feature."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=_list(values)))


def image_to_tfexample(image_data: bytes, image_format: bytes, height: int, width: int, class_id: int) -> "tf.train.Example":
    """The record that ImageClassificationTFRecordDataset reads.

    image_data: the bytes of the file. image_format: b'jpeg', b'png'. height, width: in pixels. class_id: the label.
    """
    return tf.train.Example(features=tf.train.Features(feature={
        "image/encoded": bytes_feature(image_data), "image/format": bytes_feature(image_format),
        "image/class/label": int64_feature(class_id), "image/height": int64_feature(height), "image/width": int64_feature(width)}))


@checked
def write_label_file(labels_to_class_names: "dict[int, str]", dataset_dir: _FOLDER, filename: Text() = LABELS_FILENAME) -> None:
    """Writes labels_to_class_names, {0: 'daisy', …}, to the file `filename` of dataset_dir, as lines `0:daisy`."""
    with tf.gfile.Open(os.path.join(dataset_dir, filename), "w") as file:
        for label, name in labels_to_class_names.items():
            file.write(f"{label}:{name}\n")


@checked
def has_labels(dataset_dir: _FOLDER, filename: Text() = LABELS_FILENAME) -> bool:
    """Whether dataset_dir has the file `filename`."""
    return tf.gfile.Exists(os.path.join(dataset_dir, filename))


@checked
def read_label_file(dataset_dir: _FOLDER, filename: Text() = LABELS_FILENAME) -> "dict[int, str]":
    """What write_label_file wrote to the file `filename` of dataset_dir: {0: 'daisy', …}. Raises tf.errors.NotFoundError when
    it is missing."""
    with tf.gfile.Open(os.path.join(dataset_dir, filename)) as file:
        pairs = [line.partition(":") for line in file.read().splitlines() if line.strip()]
    return {int(label): name.strip() for label, _, name in pairs
}
