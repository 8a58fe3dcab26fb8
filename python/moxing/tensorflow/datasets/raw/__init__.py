"""Data sets of image files."""
from moxing.tensorflow.datasets.raw.raw_dataset import (AsyncRawGenerator, ImageClassificationRawDataset,
                                                        ImageClassificationRawMetadata, MultilabelClassificationRawDataset,
                                                        MultilabelClassificationRawMetadata, ParallelReader)

__all__ = [
    "AsyncRawGenerator", "ImageClassificationRawDataset", "ImageClassificationRawMetadata",
    "MultilabelClassificationRawDataset", "MultilabelClassificationRawMetadata", "ParallelReader",
]
