"""Images that tell their class by their colour, and what a data set of them delivers."""
import numpy as np
import tensorflow.compat.v1 as tf

CLASSES = ["daisy", "roses", "tulips"]
IMAGES_A_CLASS = 8


def plain_image(label, height, width):
    color = np.zeros(3, np.uint8)
    color[label] = 200
    return np.tile(color, (height, width, 1))


def encode(image, kind="png"):
    encoder = tf.io.encode_png if kind == "png" else tf.io.encode_jpeg
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(encoder(image))


def in_session(get, count=None):
    """What a plain session delivers: lists of values, until the end or `count` times."""
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = get()
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        rows = []
        while len(rows) != count:
            try:
                rows.append(session.run(tensors))
            except tf.errors.OutOfRangeError:
                break
        return rows


def write_records(path, examples):
    """Each example: {feature: bytes, int, float or a list of them}."""
    def feature(values):
        values = values if isinstance(values, list) else [values]
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    with tf.python_io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {key: feature(values) for key, values in example.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
