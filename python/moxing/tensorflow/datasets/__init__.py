"""Data sets: built-in ones, folders of images, TFRecord files. Their pipelines are C++'s; see docs/data.md."""
from moxing.tensorflow.datasets.base import Dataset
from moxing.tensorflow.datasets.builtin import DatasetMeta, get_dataset, get_dataset_meta
from moxing.tensorflow.datasets.convert import (ConvertSummary, folders_to_tfrecord, split_image_classification_dataset,
                                                tfrecord_to_folders)
from moxing.tensorflow.datasets.raw.raw_dataset import (AsyncRawGenerator, ImageClassificationRawDataset,
                                                        ImageClassificationRawMetadata, MultilabelClassificationRawDataset,
                                                        MultilabelClassificationRawMetadata, ParallelReader)
from moxing.tensorflow.datasets.tfrecord_common import (BaseTFRecordDataset, BaseTFRecordMetadata,
                                                        ImageClassificationTFRecordDataset,
                                                        ImageClassificationTFRecordMetadata, get_tfrecord, image_handler,
                                                        tensor_handler)

__all__ = [
    "AsyncRawGenerator", "BaseTFRecordDataset", "BaseTFRecordMetadata", "ConvertSummary", "Dataset", "DatasetMeta",
    "ImageClassificationRawDataset", "ImageClassificationRawMetadata", "ImageClassificationTFRecordDataset",
    "ImageClassificationTFRecordMetadata", "MultilabelClassificationRawDataset", "MultilabelClassificationRawMetadata",
    "ParallelReader", "folders_to_tfrecord", "get_dataset", "get_dataset_meta", "get_tfrecord", "image_handler",
    "split_image_classification_dataset", "tensor_handler", "tfrecord_to_folders",
]
