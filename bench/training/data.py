"""Fashion-MNIST for the peers, read as plainly as a user would; the module that reports, too."""
import gzip
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

DATA, STEPS, SETTING = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def load():
    with gzip.open(f"{DATA}/train-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    with gzip.open(f"{DATA}/train-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(), np.uint8, offset=8)
    return images, labels


def report(stamps, group, steps_each=1, **versions):
    """stamps: the time after every `steps_each` steps; times are reported as means over `group` steps."""
    results.report(step_seconds=results.step_seconds(stamps, steps_each, group), versions={"python": sys.version.split()[0], **versions})
