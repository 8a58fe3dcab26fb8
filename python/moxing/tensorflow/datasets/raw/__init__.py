"""Data sets of image files."""
from moxing.tensorflow.datasets.raw.raw_dataset import *  # noqa: F403
from moxing.tensorflow.datasets.raw.raw_dataset import __all__  # noqa: F401
