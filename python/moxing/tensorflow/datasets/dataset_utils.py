"""What writes image records and label files, with TF-Slim's names."""
import os

from moxing._arguments import PathText, Text, checked
from moxing.tensorflow._runtime import tf

LABELS_FILENAME = "labels.txt"
_FOLDER = PathText()


def _list(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]


def int64_feature(values):
    """A number or a list of them, as a tf.train.Feature."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=_list(values)))


def bytes_feature(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=_list(values)))


def float_feature(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=_list(values)))


def image_to_tfexample(image_data, image_format, height, width, class_id):
    """The record that ImageClassificationTFRecordDataset reads."""
    return tf.train.Example(features=tf.train.Features(feature={
        "image/encoded": bytes_feature(image_data), "image/format": bytes_feature(image_format),
        "image/class/label": int64_feature(class_id), "image/height": int64_feature(height), "image/width": int64_feature(width)}))


@checked
def write_label_file(labels_to_class_names, dataset_dir: _FOLDER, filename: Text() = LABELS_FILENAME):
    """{0: 'daisy', …} as lines `0:daisy`."""
    with tf.gfile.Open(os.path.join(dataset_dir, filename), "w") as file:
        for label, name in labels_to_class_names.items():
            file.write(f"{label}:{name}\n")


@checked
def has_labels(dataset_dir: _FOLDER, filename: Text() = LABELS_FILENAME):
    return tf.gfile.Exists(os.path.join(dataset_dir, filename))


@checked
def read_label_file(dataset_dir: _FOLDER, filename: Text() = LABELS_FILENAME):
    """{0: 'daisy', …}"""
    with tf.gfile.Open(os.path.join(dataset_dir, filename)) as file:
        pairs = [line.partition(":") for line in file.read().splitlines() if line.strip()]
    return {int(label): name.strip() for label, _, name in pairs
}
