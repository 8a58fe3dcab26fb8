"""The module path of older scripts: moxing.tensorflow.datasets.tfrecord.tfrecord_common."""
