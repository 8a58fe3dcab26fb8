"""What scripts ask about TensorFlow."""
from moxing.tensorflow._runtime import tf


def version_info():
    """TensorFlow's version, (2, 21, 0)."""
    numbers = tf.version.VERSION.split("-")[0].split(".")
    return tuple(int(number) if number.isdigit() else number for number in numbers)
