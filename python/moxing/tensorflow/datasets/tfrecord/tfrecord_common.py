"""Its names, at the path that older scripts import."""
from moxing.tensorflow.datasets.tfrecord_common import (BaseTFRecordDataset, BaseTFRecordMetadata,  # noqa: F401
                                                        ImageClassificationTFRecordDataset,
                                                        ImageClassificationTFRecordMetadata, get_tfrecord, image_handler,
                                                        tensor_handler)
