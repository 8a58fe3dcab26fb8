"""tf.data: tf_records.py FOLDER COUNT. Counts the records by reading them, takes the first batch, and the first one after half of them."""
import glob
import pathlib
import sys
import time

import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

files, count = sorted(glob.glob(sys.argv[1] + "/*.tfrecord")), int(sys.argv[2])


def records():
    return tf.data.Dataset.from_tensor_slices(files).interleave(tf.data.TFRecordDataset, cycle_length=16, num_parallel_calls=tf.data.AUTOTUNE)


def first_batch(data):
    begin = time.monotonic()
    next(iter(data.shuffle(16).batch(16)))
    return round(time.monotonic() - begin, 3)


begin = time.monotonic()
counted = int(tf.data.TFRecordDataset(files, num_parallel_reads=tf.data.AUTOTUNE).reduce(0, lambda n, _: n + 1))
assert counted == count
results.report(list_seconds=round(time.monotonic() - begin, 3), first_batch_seconds=first_batch(records()),
               resume_seconds=first_batch(records().skip(count // 2)), versions={"python": sys.version.split()[0], "tensorflow": tf.__version__})
