"""The module path of older scripts: moxing.tensorflow.datasets.reader.raw_reader."""
