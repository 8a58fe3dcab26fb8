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


def class_folders(path, images):
    """A folder of photographs, one folder a class."""
    for label, name in enumerate(CLASSES):
        (path / name).mkdir(parents=True)
        for number in range(images):
            noise = np.random.default_rng(number).integers(0, 50, [40 + number, 60, 3], np.uint8)
            (path / name / f"{number}.jpg").write_bytes(encode(plain_image(label, 40 + number, 60) + noise, "jpeg"))


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


def train(mox, input_fn, tmp_path, steps=6, batch_size=4, auto_batch=True, num_classes=3):
    """Trains a linear classifier; returns what it was fed."""
    fed = []

    def model_fn(inputs, mode):
        images, labels = inputs
        flat = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
        logits = tf.matmul(flat, tf.get_variable("w", [3, num_classes]))
        if labels.dtype == tf.float32:
            loss = tf.losses.softmax_cross_entropy(labels, logits)
        else:
            loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, output_info={"images": images, "labels": labels})

    result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.0),
                     run_mode=mox.ModeKeys.TRAIN, batch_size=batch_size, auto_batch=auto_batch, log_dir=str(tmp_path / "log"),
                     max_number_of_steps=steps, output_fn=fed.extend, output_every_n_steps=1)
    assert result.steps == steps
    return fed
