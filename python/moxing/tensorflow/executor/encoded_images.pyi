"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.encoded_images` gives; not to be changed by hand."""
from collections.abc import Callable
from typing import Any
import tensorflow.compat.v1 as tf

def encoded_images(images: Any, preprocess_fn: Callable[..., Any], alpha: str = 'drop') -> tuple[tf.Tensor, tf.Tensor]:
    """(images, files), for model_fn in EXPORT mode: what the network takes, and the image files it may be made of.

    images: model_fn's input, [batch, height, width, channels]. The images that are returned may be fed as they are, or are made of
    `files`, strings [batch]: JPEG, PNG, GIF (first frame), BMP or WebP, each decoded to uint8 [height, width, 3] and given to
    preprocess_fn, such as what get_data_augmentation_fn(name, "EXPORT") returns. So one network has two signatures:

        images, files = mox.encoded_images(images, preprocess_fn)
        …
        mox.ExportSpec({"images": images}, outputs, signatures={"serving_bytes": ({"image_bytes": files}, outputs)})

    alpha: drop, white or black, as the data sets' option.
    """
