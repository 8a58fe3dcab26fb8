"""Where scripts import data sets from."""


def test_module_paths(mox):
    from moxing.tensorflow import datasets
    from moxing.tensorflow.datasets import tfrecord_common
    from moxing.tensorflow.datasets.raw import raw_dataset
    for name in ("ImageClassificationRawMetadata", "ImageClassificationRawDataset", "MultilabelClassificationRawMetadata",
                 "MultilabelClassificationRawDataset", "AsyncRawGenerator", "split_image_classification_dataset"):
        assert getattr(mox, name) is getattr(datasets, name) is getattr(raw_dataset, name)
    for name in ("BaseTFRecordMetadata", "BaseTFRecordDataset", "ImageClassificationTFRecordMetadata",
                 "ImageClassificationTFRecordDataset", "get_tfrecord"):
        assert getattr(mox, name) is getattr(datasets, name) is getattr(tfrecord_common, name)
