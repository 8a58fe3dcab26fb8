"""An exported model by TensorFlow's loader, on synthetic images. saved_model.py FOLDER BATCH SECONDS"""
import pathlib
import sys

import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

loaded = tf.saved_model.load(sys.argv[1])
serve = loaded.signatures["serving_default"]
size = serve.structured_input_signature[1]["images"].shape[1]
images = tf.random.uniform([int(sys.argv[2]), size, size, 3], -1, 1)
results.report(step_seconds=results.repeated(lambda: serve(images=images)["logits"].numpy(), float(sys.argv[3])),
               versions={"tensorflow": tf.__version__})
