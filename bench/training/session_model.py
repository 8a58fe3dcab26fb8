"""A plain tf.compat.v1 Session: what a user without MoXing writes. Settings: inter_op=N (0: TensorFlow's default)."""
import time

import tensorflow.compat.v1 as tf

from data import SETTING, STEPS, load, report

tf.disable_eager_execution()


def batches(batch):
    """uint8 images [batch, 28, 28, 1] and int64 labels from samples in memory, shuffled; what fills the iterator."""
    images, labels = load()
    fed = [tf.placeholder(tf.uint8, images.shape), tf.placeholder(tf.int64, labels.shape)]  # as constants they would be in memory four times
    # Numbers are shuffled and a batch is gathered at once: twice as fast as samples one by one.
    ds = (tf.data.Dataset.range(len(labels)).shuffle(len(labels)).repeat().batch(batch, drop_remainder=True)
          .map(lambda rows: tuple(tf.gather(of, rows) for of in fed)).prefetch(2))
    iterator = tf.data.make_initializable_iterator(ds)
    return *iterator.get_next(), lambda session: session.run(iterator.initializer, dict(zip(fed, (images, labels))))


def train(fill, loss, optimizer, group):
    train_op = optimizer.minimize(loss, global_step=tf.train.get_or_create_global_step())
    config = tf.ConfigProto(inter_op_parallelism_threads=int(SETTING.split("=")[1]))
    with tf.Session(config=config) as session:
        session.run(tf.global_variables_initializer())
        fill(session)
        step, stamps = session.make_callable([loss, train_op]), []
        for _ in range(STEPS):
            step()
            stamps.append(time.time())
    report(stamps, group, tensorflow=tf.__version__)
