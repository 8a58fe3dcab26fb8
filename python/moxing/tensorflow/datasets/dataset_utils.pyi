"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets.dataset_utils` gives; not to be changed by hand."""
from typing import Any
import os
import tensorflow.compat.v1 as tf

LABELS_FILENAME: str

def bytes_feature(values: Any) -> tf.train.Feature:
    """values, bytes or a list of them, as a tf.train.Feature."""

def float_feature(values: Any) -> tf.train.Feature:
    """values, a number or a list of them, as a tf.train.Feature."""

def has_labels(dataset_dir: str | bytes | os.PathLike[Any], filename: str = 'labels.txt') -> bool:
    """Whether dataset_dir has the file `filename`."""

def image_to_tfexample(image_data: bytes, image_format: bytes, height: int, width: int, class_id: int) -> tf.train.Example:
    """The record that ImageClassificationTFRecordDataset reads.

    image_data: the bytes of the file. image_format: b'jpeg', b'png'. height, width: in pixels. class_id: the label.
    """

def int64_feature(values: Any) -> tf.train.Feature:
    """values, an integer or a list of them, as a tf.train.Feature."""

def read_label_file(dataset_dir: str | bytes | os.PathLike[Any], filename: str = 'labels.txt') -> dict[int, str]:
    """What write_label_file wrote to the file `filename` of dataset_dir: {0: 'daisy', …}. Raises tf.errors.NotFoundError when
    it is missing.
    """

def write_label_file(
    labels_to_class_names: dict[int, str],
    dataset_dir: str | bytes | os.PathLike[Any],
    filename: str = 'labels.txt',
) -> None:
    """Writes labels_to_class_names, {0: 'daisy', …}, to the file `filename` of dataset_dir, as lines `0:daisy`."""
