"""Keras: keras_files.py FOLDER. Lists class folders, and takes the first batch of 256."""
import pathlib
import sys
import time

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results


def resident_mib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / (1 << 20)


before, begin = resident_mib(), time.monotonic()
data = keras.utils.image_dataset_from_directory(sys.argv[1], batch_size=256, image_size=(8, 8), shuffle=True)
listed = round(time.monotonic() - begin, 3)
mib, begin = resident_mib() - before, time.monotonic()
next(iter(data))
results.report(list_seconds=listed, listed_mib=round(mib, 1), first_batch_seconds=round(time.monotonic() - begin, 3),
               versions={"python": sys.version.split()[0], "keras": keras.__version__})
