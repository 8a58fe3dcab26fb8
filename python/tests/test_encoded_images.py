"""Exported models with further signatures, as TensorFlow's own loaders read them."""
import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox


def encoded(pixels, form="png"):
    write = tf2.io.encode_png if form == "png" else tf2.io.encode_jpeg
    return write(pixels).numpy()


def pictures(channels=3):
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (40 + 10 * i, 60, channels), dtype=np.uint8) for i in range(3)]


def train(folder, model_fn, **changes):
    def input_fn(mode):
        return tf.data.Dataset.from_tensors((tf.zeros([8, 8, 3]), tf.zeros([], tf.int64))).repeat().make_one_shot_iterator().get_next()

    return mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.1), run_mode="TRAIN", batch_size=2,
                   log_dir=str(folder), max_number_of_steps=1, export_model=mox.ExportKeys.TF_SERVING, **changes).export_dir


def model_of(alpha="drop", preprocess=None, signatures=None):
    def model_fn(inputs, mode):
        images, files = inputs[0], None
        if mode == "EXPORT":
            images, files = mox.encoded_images(images, preprocess or mox.get_data_augmentation_fn("inception_v1", "EXPORT", 8, 8), alpha)
        w = tf.get_variable("w", [8 * 8 * 3, 2], initializer=tf.random_normal_initializer(seed=1))
        y = tf.matmul(tf.reshape(images, [-1, 8 * 8 * 3]), w)
        loss = tf.reduce_mean(tf.square(y))
        further = {"serving_bytes": ({"image_bytes": files}, {"y": y, "images": images})} if signatures is None else signatures(files, y)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss},
                             export_spec=mox.ExportSpec({"images": images}, {"y": y}, signatures=further) if mode == "EXPORT" else None)
    return model_fn


@pytest.mark.eager
def test_files_and_images_are_two_signatures_of_one_model(tmp_path):
    folder = train(tmp_path, model_of())
    loaded = tf2.saved_model.load(folder)
    files = [encoded(pixels) for pixels in pictures()] + [encoded(pictures()[0], "jpeg"), encoded(pictures(1)[0])]
    of_files = loaded.signatures["serving_bytes"](image_bytes=tf2.constant(files))
    assert of_files["images"].shape == (5, 8, 8, 3)
    of_images = loaded.signatures["serving_default"](images=of_files["images"])
    np.testing.assert_allclose(of_files["y"], of_images["y"], atol=1e-6)
    # One at a time, and what the preprocessing makes of the pixels.
    for i, pixels in enumerate(pictures()):
        alone = loaded.signatures["serving_bytes"](image_bytes=tf2.constant([files[i]]))
        np.testing.assert_allclose(alone["y"][0], of_files["y"][i], atol=1e-6)
        cut = tf2.image.central_crop(pixels.astype(np.float32) / 255, 0.875)
        wanted = tf.image.resize_bilinear(cut[None], [8, 8])[0] * 2 - 1
        np.testing.assert_allclose(of_files["images"][i], wanted, atol=1e-5)
    with pytest.raises(tf2.errors.OpError):
        loaded.signatures["serving_bytes"](image_bytes=tf2.constant([b"no image"]))
    # TensorFlow 1's loader, as servers have it.
    with tf.Session(graph=tf.Graph()) as session:
        meta = tf.saved_model.load(session, ["serve"], folder)
        assert set(meta.signature_def) == {"serving_default", "serving_bytes"}
        signature = meta.signature_def["serving_bytes"]
        assert signature.inputs["image_bytes"].dtype == tf.string.as_datatype_enum
        y = session.run(signature.outputs["y"].name, {signature.inputs["image_bytes"].name: files})
    np.testing.assert_allclose(y, of_files["y"], atol=1e-6)


@pytest.mark.eager
@pytest.mark.parametrize("alpha, background", [("white", 255), ("black", 0)])
def test_transparent_files(tmp_path, alpha, background):
    folder = train(tmp_path, model_of(alpha, lambda image: tf.cast(image[:8, :8], tf.float32)))  # of no known height
    serve = tf2.saved_model.load(folder).signatures["serving_bytes"]
    for channels in (1, 2, 3, 4):
        pixels = pictures(channels)[0]
        colours = pixels[:8, :8, :channels - 1 + channels % 2].astype(int)
        share = pixels[:8, :8, -1:].astype(int) if channels % 2 == 0 else 255
        wanted = (colours * share + background * (255 - share) + 127) // 255 + np.zeros([8, 8, 3], int)
        np.testing.assert_array_equal(serve(image_bytes=tf2.constant([encoded(pixels)]))["images"][0], wanted)


def test_what_cannot_be_exported(tmp_path):
    with pytest.raises(mox.InvalidArgumentError, match="preprocess_fn returns float32 .9, 8, 3., and images are float32 .8, 8, 3.:"):
        train(tmp_path, model_of(preprocess=lambda image: tf.ones([9, 8, 3])))
    with pytest.raises(mox.InvalidArgumentError, match="preprocess_fn returns uint8"):
        train(tmp_path, model_of(preprocess=lambda image: image))
    with pytest.raises(mox.InvalidArgumentError, match="alpha is 'grey'"):
        train(tmp_path, model_of("grey"))
    for signatures, message in (
            (lambda files, y: {"serving_default": ({"a": files}, {"y": y})}, "a further signature cannot have this name"),
            (lambda files, y: {"bytes": ({}, {"y": y})}, r"export_spec.signatures\['bytes'\] of model_fn has 0 inputs and 1 outputs"),
            (lambda files, y: {"bytes": {"a": files}}, r"signatures\['bytes'\] is .*, expected a name"),
            (lambda files, y: [files], "signatures is .*, expected a dict")):
        with pytest.raises(mox.Error, match=message):
            train(tmp_path, model_of(signatures=signatures))
