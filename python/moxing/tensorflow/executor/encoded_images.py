"""Exported models that take image files, beside those that take what a network sees."""
from typing import Any

from moxing._arguments import Function, checked
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import tf

_ALPHA = {"drop": None, "white": 255, "black": 0}


@checked
def encoded_images(images: "Any", preprocess_fn: Function(), alpha: "str" = "drop") -> "tuple[tf.Tensor, tf.Tensor]":
    """(images, files), for model_fn in EXPORT mode: what the network takes, and the image files it may be made of.

    images: model_fn's input, [batch, height, width, channels]. The images that are returned may be fed as they are, or are made of
    `files`, strings [batch]: JPEG, PNG, GIF (first frame), BMP or WebP, each decoded to uint8 [height, width, 3] and given to
    preprocess_fn, such as what get_data_augmentation_fn(name, "EXPORT") returns. So one network has two signatures:

        images, files = mox.encoded_images(images, preprocess_fn)
        …
        mox.ExportSpec({"images": images}, outputs, signatures={"serving_bytes": ({"image_bytes": files}, outputs)})

    alpha: drop, white or black, as the data sets' option.
    """
    if alpha not in _ALPHA:
        raise InvalidArgumentError(f"encoded_images: alpha is {alpha!r}, expected drop, white or black")
    background = _ALPHA[alpha]
    files = tf.placeholder(tf.string, [None], name="image_files")

    @tf.autograph.experimental.do_not_convert  # which would wrap errors
    def preprocessed(file):
        image = tf.image.decode_image(file, 3 if background is None else 0, expand_animations=False)
        if background is not None:
            image = _laid_over(image, background)
        image.set_shape([None, None, 3])
        made, wanted = tf.convert_to_tensor(preprocess_fn(image)), images.shape[1:]
        if made.dtype != images.dtype or not made.shape.is_compatible_with(wanted):
            raise InvalidArgumentError(f"encoded_images: preprocess_fn returns {made.dtype.name} {made.shape}, and images are "
                                       f"{images.dtype.name} {wanted}: expected an image of that dtype and shape")
        return tf.ensure_shape(made, wanted) if wanted.is_fully_defined() else made

    made = tf.map_fn(preprocessed, files, dtype=images.dtype, back_prop=False, name="decode_files")
    return tf.placeholder_with_default(made, images.shape, name="images"), files


def _laid_over(image, background):
    """What the file has, one to four channels, of which the last of two or of four is how much is there."""
    image = tf.cast(image, tf.int32)
    channels = tf.shape(image)[2]
    transparent = tf.cast(tf.logical_or(tf.equal(channels, 2), tf.equal(channels, 4)), tf.int32)
    colours = channels - transparent
    share = image[:, :, -1:] * transparent + 255 * (1 - transparent)
    shown = (image[:, :, :colours] * share + background * (255 - share) + 127) // 255
    return tf.cast(tf.tile(shown, [1, 1, 3 // colours]), tf.uint8)
