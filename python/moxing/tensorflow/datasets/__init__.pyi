"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets` gives; not to be changed by hand."""
from moxing.tensorflow.datasets.raw.raw_dataset import AsyncRawGenerator as AsyncRawGenerator
from moxing.tensorflow.datasets.tfrecord_common import BaseTFRecordDataset as BaseTFRecordDataset
from moxing.tensorflow.datasets.tfrecord_common import BaseTFRecordMetadata as BaseTFRecordMetadata
from moxing.tensorflow.datasets.convert import ConvertSummary as ConvertSummary
from moxing.tensorflow.datasets.base import Dataset as Dataset
from moxing.tensorflow.datasets.builtin import DatasetMeta as DatasetMeta
from moxing.tensorflow.datasets.raw.raw_dataset import ImageClassificationRawDataset as ImageClassificationRawDataset
from moxing.tensorflow.datasets.raw.raw_dataset import ImageClassificationRawMetadata as ImageClassificationRawMetadata
from moxing.tensorflow.datasets.tfrecord_common import ImageClassificationTFRecordDataset as ImageClassificationTFRecordDataset
from moxing.tensorflow.datasets.tfrecord_common import ImageClassificationTFRecordMetadata as ImageClassificationTFRecordMetadata
from moxing.tensorflow.datasets.raw.raw_dataset import MultilabelClassificationRawDataset as MultilabelClassificationRawDataset
from moxing.tensorflow.datasets.raw.raw_dataset import MultilabelClassificationRawMetadata as MultilabelClassificationRawMetadata
from moxing.tensorflow.datasets.raw.raw_dataset import ParallelReader as ParallelReader
from moxing.tensorflow.datasets.convert import folders_to_tfrecord as folders_to_tfrecord
from moxing.tensorflow.datasets.builtin import get_dataset as get_dataset
from moxing.tensorflow.datasets.builtin import get_dataset_meta as get_dataset_meta
from moxing.tensorflow.datasets.tfrecord_common import get_tfrecord as get_tfrecord
from moxing.tensorflow.datasets.tfrecord_common import image_handler as image_handler
from moxing.tensorflow.datasets.convert import split_image_classification_dataset as split_image_classification_dataset
from moxing.tensorflow.datasets.tfrecord_common import tensor_handler as tensor_handler
from moxing.tensorflow.datasets.convert import tfrecord_to_folders as tfrecord_to_folders

