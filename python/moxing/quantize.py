"""What `mox export --quantize` and `mox eval` of a .tflite file run: a model of TensorFlow Lite, made or read, and asked.

Input: a line of JSON with "image" ([height, width, channels]) and "classes"; for a file that there is "model_bytes", and so many bytes; for one
that is to be made "saved_model" (a local folder), "to" (int8 or float16) and "calibration_batches", and so many batches, to which the answer is
the number of the model's bytes, int64, and these. Then batches until the end, each answered by its logits. A batch is a count, int64, and so
many preprocessed images, float32; so are logits.
"""
import contextlib
import json
import os
import sys
import warnings


def _batches(stream, shape):
    """One after the other, until the input's end."""
    import numpy as np

    size = int(np.prod(shape)) * 4
    while head := stream.read(8):
        count = int(np.frombuffer(head, np.int64)[0])
        yield np.frombuffer(stream.read(size * count), np.float32).reshape(count, *shape)


@contextlib.contextmanager
def _silent():
    """What the libraries write while they are loaded, before any setting reaches them, is left out; exceptions are not."""
    shown, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)


def _converted(folder, kind, calibration):
    with _silent():
        import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"], tags={"serve"})
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    else:
        converter.representative_dataset = lambda: ({"images": image[None]} for images in calibration for image in images)
    return converter.convert()


def _interpreter():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf
        return tf.lite.Interpreter
    return Interpreter


def _network(model, shape, classes):
    """The function from images to logits; ends where the model is another one."""
    with _silent():
        interpreter = _interpreter()(model_content=model, num_threads=os.cpu_count())
    signature = interpreter.get_signature_list().get("serving_default", {"inputs": [], "outputs": []})
    if signature["inputs"] != ["images"] or "logits" not in signature["outputs"]:
        sys.exit("the model has no signature serving_default from images to logits, so it is none of mox export --quantize")
    run = interpreter.get_signature_runner("serving_default")
    wanted = run.get_input_details()["images"]["shape_signature"].tolist()
    if wanted[1:] != shape:
        sys.exit(f"the model takes images of [height, width, channels] {wanted[1:]}, and the data's become {shape}: --image_size, --channels")

    def logits(images):
        found = run(images=images)["logits"]
        if found.shape[1] != classes:
            sys.exit(f"the model has {found.shape[1]} classes, expected {classes}: --num_classes")
        return found

    return logits


def main(stream):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.simplefilter("ignore")  # that tf.lite will move to a package of its own
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the converter prints
    head = json.loads(stream.readline())
    batches = _batches(stream, head["image"])
    if "saved_model" in head:
        calibration = [next(batches) for _ in range(head["calibration_batches"])]
        model = _converted(head["saved_model"], head["to"], calibration)
        answer.write(len(model).to_bytes(8, "little") + model)
        answer.flush()
    else:
        model = stream.read(head["model_bytes"])
    logits = _network(model, head["image"], head["classes"])
    for images in batches:
        answer.write(logits(images).astype("<f4").tobytes())
        answer.flush()
    answer.close()
