"""Writes expected.json for preprocess_test.cc.

    .venv/bin/python tests/preprocess/make_expected.py

EVAL: TF-slim's rules in numpy, checked here against tf.compat.v1.image. TRAIN: means and deviations of what those
rules give over many random draws with tf.compat.v1.image. data/: photographs of Debian's opencv-doc, made smaller.
"""
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

image_ops = tf.compat.v1.image
HERE = pathlib.Path(__file__).parent
PHOTOS = {path.name: tf.io.decode_jpeg(path.read_bytes()).numpy() for path in sorted((HERE / "data").glob("*.jpg"))}
DRAWS = 600


def bilinear(image, height, width):
    """TensorFlow 1's resize: pixel i of the output is at i * input / output."""
    image = image.astype(np.float32)

    def positions(length, target):
        at = np.arange(target, dtype=np.float32) * np.float32(length / target)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, length - 1), at - low

    top, bottom, y = positions(image.shape[0], height)
    left, right, x = positions(image.shape[1], width)
    y, x = y[:, None, None], x[None, :, None]
    upper = image[top][:, left] * (1 - x) + image[top][:, right] * x
    lower = image[bottom][:, left] * (1 - x) + image[bottom][:, right] * x
    return upper * (1 - y) + lower * y


def vgg(image, height, width, mean=(123.68, 116.78, 103.94), side=256):
    scale = np.float32(side) / np.float32(min(image.shape[:2]))
    target = [int(np.rint(np.float32(length) * scale)) for length in image.shape[:2]]
    resized = bilinear(image, *target)
    reference = image_ops.resize_bilinear(image[None], target)[0].numpy()
    assert np.abs(resized - reference).max() < 2e-4
    top, left = (target[0] - height) // 2, (target[1] - width) // 2
    return resized[top : top + height, left : left + width] - np.float32(mean)


def pvanet(image, height, width):
    return vgg(image, height, width, mean=(122.7717, 115.9465, 102.9801))


def inception(image, height, width, fraction=0.875):
    values = image.astype(np.float32) * np.float32(1 / 255) if image.dtype == np.uint8 else image
    top, left = (int((length - length * fraction) / 2) for length in image.shape[:2])
    middle = values[top : image.shape[0] - top, left : image.shape[1] - left]
    result = (bilinear(middle, height, width) - np.float32(0.5)) * 2
    reference = tf.image.central_crop(image_ops.convert_image_dtype(image, tf.float32), fraction)
    reference = (image_ops.resize_bilinear(reference[None], [height, width])[0].numpy() - 0.5) * 2
    assert np.abs(result - reference).max() < 1e-5
    return result


def crop_or_pad(image, height, width):
    image = image.astype(np.float32)
    for axis, target in ((0, height), (1, width)):
        surplus = image.shape[axis] - target
        if surplus > 0:
            image = np.take(image, np.arange(surplus // 2, surplus // 2 + target), axis)
        else:
            paddings = [(0, 0)] * 3
            paddings[axis] = (-surplus // 2, -surplus - -surplus // 2)
            image = np.pad(image, paddings)
    return image


def lenet(image, height, width):
    fitted = crop_or_pad(image, height, width)
    assert np.array_equal(fitted, image_ops.resize_image_with_crop_or_pad(image, height, width).numpy())
    return (fitted - 128) / 128


def cifarnet(image, height, width):
    fitted = crop_or_pad(image, height, width)
    result = (fitted - fitted.mean()) / max(fitted.std(), 1 / np.sqrt(fitted.size))
    assert np.abs(result - image_ops.per_image_standardization(fitted).numpy()).max() < 1e-4
    return result


# network, its rule, output sides (0: the network's), float input
EVAL_CASES = [
    ("vgg_16", vgg, 224, 224, False),
    ("resnet_v1_50", vgg, 224, 224, True),
    ("alexnet_v2", vgg, 120, 200, False),
    ("pvanet", pvanet, 224, 224, False),
    ("inception_v3", inception, 299, 299, False),
    ("mobilenet_v1", inception, 224, 224, True),
    ("nasnet_large", inception, 331, 331, False),
    ("inception_v1", inception, 97, 150, False),
    ("cifarnet", cifarnet, 32, 32, False),
    ("resnet_v1_20", cifarnet, 300, 210, True),
    ("lenet", lenet, 28, 28, False),
    ("lenet", lenet, 301, 200, True),
]


def sample(values):
    """As preprocess_test.cc takes them."""
    flat = values.ravel()
    return [float(f"{flat[(i * 7919 + 13) % flat.size]:.8g}") for i in range(96)]


def eval_case(photo, network, rule, height, width, as_float):
    image = PHOTOS[photo]
    if as_float:
        image = image.astype(np.float32)
        if rule is inception:
            image /= 255
    result = rule(image, height, width).astype(np.float32)
    assert result.shape == (height, width, 3)
    return {
        "photo": photo,
        "network": network,
        "height": height,
        "width": width,
        "float": as_float,
        "mean": float(result.mean(dtype=np.float64)),
        "deviation": float(result.std(dtype=np.float64)),
        "sample": sample(result),
    }


def distort_color(image, order, fast):
    steps = {
        "b": lambda x: tf.image.random_brightness(x, 32 / 255),
        "s": lambda x: tf.image.random_saturation(x, 0.5, 1.5),
        "h": lambda x: tf.image.random_hue(x, 0.2),
        "c": lambda x: tf.image.random_contrast(x, 0.5, 1.5),
    }
    for step in "bs" if fast else ("bshc", "sbch", "chbs", "hscb")[order]:
        image = steps[step](image)
    return tf.clip_by_value(image, 0.0, 1.0)


def inception_train(image, height, width, random, fast):
    image = tf.image.convert_image_dtype(image, tf.float32)
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image),
        tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        min_object_covered=0.1,
        aspect_ratio_range=(0.75, 1.33),
        area_range=(0.05, 1.0),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    method = 0 if fast else int(random.randint(4))
    image = image_ops.resize_images(tf.slice(image, begin, size), [height, width], method)
    image = tf.image.random_flip_left_right(image)
    return ((distort_color(image, int(random.randint(4)), fast) - 0.5) * 2).numpy()


def features(image):
    """As preprocess_test.cc computes them."""
    spread = image.max(axis=2) - image.min(axis=2)
    roughness = np.abs(np.diff(image, axis=1)).mean()
    return [image.mean(), image.std(), spread.mean(), roughness, image[..., 0].mean() - image[..., 2].mean()]


def train_case(photo, fast):
    tf.random.set_seed(5)
    random = np.random.RandomState(5)
    draws = np.array([features(inception_train(PHOTOS[photo], 48, 40, random, fast)) for _ in range(DRAWS)])
    return {
        "photo": photo,
        "fast_mode": fast,
        "draws": DRAWS,
        "means": draws.mean(axis=0).tolist(),
        "deviations": draws.std(axis=0).tolist(),
    }


def main():
    expected = {
        "eval": [eval_case(photo, *case) for photo in PHOTOS for case in EVAL_CASES],
        "train": [train_case(photo, fast) for photo in PHOTOS for fast in (True, False)],
    }
    lines = {key: ",\n".join(json.dumps(case) for case in cases) for key, cases in expected.items()}
    text = "{%s}\n" % ",\n".join('"%s": [\n%s\n]' % item for item in lines.items())
    (HERE / "expected.json").write_text(text)


main()
