"""Its names, at the path that older scripts import."""
from moxing.tensorflow.datasets.raw.raw_dataset import *  # noqa: F403
