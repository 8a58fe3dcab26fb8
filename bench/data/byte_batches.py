"""Would batches of bytes pay, with the normalization in the network in place of the input pipeline? Writes byte_batches.json (see results.py).

  .venv/bin/python bench/data/byte_batches.py [--runs=2] [--rows=none,…] [--photos=DIR] [--output=bench/data/byte_batches.json]

Rows: a network that is trained on photographs (make_photos.py), or none, where batches are only read: the most that an input could gain. `mox`: as
MoXing's preprocessing does it, each sample becomes float in the pipeline. `bytes`: the pipeline delivers uint8, a quarter of the memory, and
model_fn casts and normalizes the batch. `bfloat16`: the pipeline normalizes and delivers bfloat16, half the memory, which model_fn casts.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results, report  # noqa: E402

ROWS = {"none": (224, 120), "mobilenet_v1_025": (128, 55), "resnet_v1_50": (224, 11)}  # pixels a side, steps
FIGURES = {"images_per_second": "higher", "cpu_ms_per_image": "lower", "peak_mib": "lower"}
BEGIN = 5  # steps before the clock


def train(network, kind, photos):
    import tensorflow.compat.v1 as tf

    import moxing.tensorflow as mox

    size, steps = ROWS[network]
    batch, counted = (16 if network.startswith("resnet") else 32), {"steps": 0}

    def normalized(images):
        return tf.cast(images, tf.float32) / 127.5 - 1

    def input_fn(mode):
        dataset = mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(photos), image_size=(size, size))
        image, label = dataset.get(["image", "label"])
        if kind != "bytes":
            image = normalized(image)
        return (tf.cast(image, tf.bfloat16) if kind == "bfloat16" else image), label

    def model_fn(inputs, mode):
        images, labels = inputs
        if kind == "bytes":
            images = normalized(images)
        elif kind == "bfloat16":
            images = tf.cast(images, tf.float32)
        if network == "none":
            loss = tf.square(tf.reduce_mean(images) * tf.get_variable("weight", []))
        else:
            logits, _ = mox.get_model_fn(network, mode, num_classes=5)(images)
            loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, hooks=[Clock()])

    class Clock(tf.train.SessionRunHook):
        def after_run(self, run_context, run_values):
            counted["steps"] += 1
            if counted["steps"] == BEGIN:
                counted.update(begin=time.time(), cpu=time.process_time())

    mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("momentum", 0.01), run_mode=mox.ModeKeys.TRAIN, batch_size=batch,
            log_dir="log", max_number_of_steps=steps, log_every_n_steps=0, save_model_steps=0)
    images = (counted["steps"] - BEGIN) * batch
    report(images_per_second=round(images / (time.time() - counted["begin"]), 1),
           cpu_ms_per_image=round(1000 * (time.process_time() - counted["cpu"]) / images, 3), versions={"tensorflow": tf.__version__})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--photos", help="the photographs, when they are made already")
    parser.add_argument("--output", default=HERE / "byte_batches.json")
    args = parser.parse_args()
    results = Results(args.output, "byte_batches", FIGURES)
    with tempfile.TemporaryDirectory() as folder:
        photos = args.photos or f"{folder}/photos"
        if not args.photos:
            subprocess.run([sys.executable, str(HERE / "make_photos.py"), photos], check=True, env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2"))
        for network in args.rows.split(","):
            size, steps = ROWS[network]
            sides = [Contender(kind, [sys.executable, __file__, "run", network, kind, photos], env={"PYTHONPATH": str(BUILD / "python")})
                     for kind in ("mox", "bytes", "bfloat16")]
            results.row(network, sides, args.runs, size=size, steps=steps)


if sys.argv[1:2] == ["run"]:
    train(*sys.argv[2:])
else:
    main()
