"""What `mox export --quantize` runs: an exported model becomes one of TensorFlow Lite, and is evaluated.

Standard input: a line of JSON, {"image": [height, width, channels], "calibration_batches": n}, then batches of preprocessed images
until its end, the first n for calibration: a count and so many labels, int64, then so many images, float32. Standard output: a line
of JSON, {"right": how many images of the others got their label, "bytes": of the file}.
"""
import contextlib
import json
import os
import sys
import tempfile
import warnings


def _batches(stream, shape):
    """(labels, images), one after the other."""
    import numpy as np

    size = int(np.prod(shape)) * 4
    while head := stream.read(8):
        count = int(np.frombuffer(head, np.int64)[0])
        labels = np.frombuffer(stream.read(8 * count), np.int64)
        yield labels, np.frombuffer(stream.read(size * count), np.float32).reshape(count, *shape)


def _converted(tf, folder, kind, calibration):
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"], tags={"serve"})
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    else:
        converter.representative_dataset = lambda: ({"images": image[None]} for _, images in calibration for image in images)
    return converter.convert()


@contextlib.contextmanager
def _on_a_disk(folder):
    """TensorFlow alone knows no stores."""
    from moxing import file

    if "://" not in folder:
        yield folder
        return
    with tempfile.TemporaryDirectory() as local:
        file.copy_parallel(folder, local)
        yield local


def main(args):
    folder, kind, path = args
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.simplefilter("ignore")  # that tf.lite will move to a package of its own
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the converter prints
    import tensorflow as tf

    from moxing import file

    stream = sys.stdin.buffer
    head = json.loads(stream.readline())
    batches = _batches(stream, head["image"])
    calibration = [next(batches) for _ in range(head["calibration_batches"])]
    with _on_a_disk(folder) as local:
        model = _converted(tf, local, kind, calibration)
    file.write(path, model, binary=True)
    run = tf.lite.Interpreter(model_content=model).get_signature_runner("serving_default")
    right = sum(int((run(images=images)["classes"] == labels).sum()) for labels, images in batches)
    answer.write(json.dumps({"right": right, "bytes": len(model)}) + "\n")
    answer.close()
