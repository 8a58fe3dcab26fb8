"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets.raw` gives; not to be changed by hand."""
from moxing.tensorflow.datasets.raw.raw_dataset import AsyncRawGenerator as AsyncRawGenerator
from moxing.tensorflow.datasets.raw.raw_dataset import ImageClassificationRawDataset as ImageClassificationRawDataset
from moxing.tensorflow.datasets.raw.raw_dataset import ImageClassificationRawMetadata as ImageClassificationRawMetadata
from moxing.tensorflow.datasets.raw.raw_dataset import MultilabelClassificationRawDataset as MultilabelClassificationRawDataset
from moxing.tensorflow.datasets.raw.raw_dataset import MultilabelClassificationRawMetadata as MultilabelClassificationRawMetadata
from moxing.tensorflow.datasets.raw.raw_dataset import ParallelReader as ParallelReader
from moxing.tensorflow.datasets.convert import split_image_classification_dataset as split_image_classification_dataset

