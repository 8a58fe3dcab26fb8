"""The module path of older scripts."""
from moxing.errors import UnsupportedError
from moxing.tensorflow.datasets.tfrecord_common import (ImageClassificationTFRecordDataset,  # noqa: F401
                                                        ImageClassificationTFRecordMetadata)


class ProgressiveImagenetDataset:
    """Changes the size of batches and images while it is read, which is not offered."""

    def __init__(self, *args, **kwargs):
        raise UnsupportedError("ProgressiveImagenetDataset, whose batches and images change their sizes within a run, is not offered by "
                               "this version: run each stage as a training of its own, with an ImageClassificationTFRecordDataset "
                               "of its sizes, the same log_dir and the stage's last step as max_number_of_steps")
