"""Would batches of bytes pay, with the normalization in the network in place of the input pipeline? One run of one side.

Usage: byte_batches.py NETWORK SIZE float|bytes PHOTOS STEPS. NETWORK: a network's name, which is trained, or none, where the batches are
only read: the most that an input could gain. float: as MoXing's preprocessing does it, each sample becomes float in the pipeline.
bytes: the pipeline delivers uint8, a quarter of the memory, and model_fn casts and normalizes the batch.
PYTHONPATH=build/release/python; prints one JSON line.
"""
import json
import sys
import time

import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox

NETWORK, SIZE, KIND, PHOTOS, STEPS = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
BATCH, BEGIN = (16 if NETWORK.startswith("resnet") else 32), 5


def normalized(images):
    return tf.cast(images, tf.float32) / 127.5 - 1


def input_fn(mode):
    photos = mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(PHOTOS), image_size=(SIZE, SIZE))
    image, label = photos.get(["image", "label"])
    return (normalized(image) if KIND == "float" else image), label


def model_fn(inputs, mode):
    images, labels = inputs
    if KIND == "bytes":
        images = normalized(images)
    if NETWORK == "none":
        weight = tf.get_variable("weight", [])
        loss = tf.square(tf.reduce_mean(images) * weight)
    else:
        logits, _ = mox.get_model_fn(NETWORK, mode, num_classes=5)(images)
        loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    return mox.ModelSpec(loss=loss, log_info={"loss": loss}, hooks=[clock])


class Clock(tf.train.SessionRunHook):
    def __init__(self):
        self.steps = 0

    def after_run(self, run_context, run_values):
        self.steps += 1
        if self.steps == BEGIN:
            self.begin, self.cpu = time.time(), time.process_time()


clock = Clock()
mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("momentum", 0.01), run_mode=mox.ModeKeys.TRAIN, batch_size=BATCH,
        log_dir="log", max_number_of_steps=STEPS, log_every_n_steps=0, save_model_steps=0)
images, seconds, cpu = (clock.steps - BEGIN) * BATCH, time.time() - clock.begin, time.process_time() - clock.cpu
with open("/proc/self/status") as f:
    peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
print(json.dumps({"images_per_second": round(images / seconds, 1), "cpu_ms_per_image": round(1000 * cpu / images, 3), "peak_mib": round(peak / 1024)}))
