"""Files of images and labels in MNIST's format."""
import gzip
import struct

import numpy as np


def write_idx(path, array):
    with gzip.open(path, "wb", 1) as f:
        f.write(struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape))
        f.write(array.astype(np.uint8).tobytes())
