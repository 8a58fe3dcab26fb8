"""Ours: mox_many.py files|records FOLDER COUNT. Lists it, trains a step, trains to the middle of the epoch, goes on from there."""
import pathlib
import sys
import tempfile
import time

import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

kind, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def resident_mib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / (1 << 20)


def input_of(batch):
    """A number a sample, that needs all of it to be read."""
    if kind == "files":
        image, label = mox.ImageClassificationRawDataset(metadata, batch_size=batch, image_size=(8, 8)).get(["image", "label"])
        return tf.reduce_mean(tf.cast(image, tf.float32), [1, 2, 3]) + tf.cast(label, tf.float32)
    features = {"image/encoded": tf.FixedLenFeature((), tf.string), "image/class/label": tf.FixedLenFeature((), tf.int64)}
    dataset = mox.BaseTFRecordDataset(metadata, batch_size=batch, shuffle_buffer_size=16, keys_to_features=features,
                                      items_to_handlers={name: name for name in features})
    image, label = dataset.get(["image/encoded", "image/class/label"])
    return tf.cast(tf.strings.length(image), tf.float32) + tf.cast(label, tf.float32)


def train(log_dir, batch, steps):
    def model_fn(inputs, mode, **kwargs):
        w = tf.get_variable("w", initializer=0.5)
        loss = tf.reduce_mean(inputs[0] * w)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss})

    begin = time.monotonic()
    tf.reset_default_graph()
    mox.run(input_fn=lambda mode, **kwargs: input_of(batch), model_fn=model_fn, optimizer_fn=lambda: tf.train.GradientDescentOptimizer(0.0),
            run_mode=mox.ModeKeys.TRAIN, batch_size=batch, auto_batch=False, log_dir=log_dir, max_number_of_steps=steps, log_every_n_steps=0)
    return round(time.monotonic() - begin, 3)


before, begin = resident_mib(), time.monotonic()
metadata = mox.ImageClassificationRawMetadata(folder) if kind == "files" else mox.BaseTFRecordMetadata(folder, ["*.tfrecord"])
listed = round(time.monotonic() - begin, 3)
assert metadata.total_num_samples == count, metadata.total_num_samples
results.report(list_seconds=listed, listed_mib=round(resident_mib() - before, 1))
with tempfile.TemporaryDirectory() as work:
    steps = 100
    batch = count // 2 // steps
    results.report(first_batch_seconds=train(work + "/first", 256 if kind == "files" else 16, 1))
    half = train(work + "/half", batch, steps)
    results.report(half_epoch_seconds=half, resume_seconds=train(work + "/half", batch, steps + 1), versions={"python": sys.version.split()[0]})
