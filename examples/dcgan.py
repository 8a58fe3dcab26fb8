"""A DCGAN on Fashion-MNIST: two losses, each with its own variables and optimizer, in one step.

    python dcgan.py --data_url=DIR --train_url=DIR [--steps=1000] [MoXing's flags]

`distance` in the log judges the images without the discriminator: how far the mean and the spread of each pixel are
from those of the real batch.
"""
import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox

tf.flags.DEFINE_string("data_url", "/usr/share/datasets/fashion-mnist", "folder of the idx files")
tf.flags.DEFINE_string("train_url", None, "folder for checkpoints and events")
tf.flags.DEFINE_integer("steps", 1000, "training steps")
flags = tf.flags.FLAGS

BATCH_SIZE = 64


def variable(name, shape, stddev=0.02):
    return tf.get_variable(name, shape, initializer=tf.random_normal_initializer(0, stddev))


def batch_norm(x, name):
    """By the batch's moments: a generator is not used without a batch here."""
    channels = x.shape[-1]
    scale = tf.get_variable(name + "_scale", [channels], initializer=tf.ones_initializer())
    offset = tf.get_variable(name + "_offset", [channels], initializer=tf.zeros_initializer())
    return tf.nn.fused_batch_norm(x, scale, offset)[0]


def grow(x, size, channels, name):
    weights = variable(name, [4, 4, channels, x.shape[-1]])
    return tf.nn.conv2d_transpose(x, weights, [BATCH_SIZE, size, size, channels], [1, 2, 2, 1])


def generator(noise):
    with tf.variable_scope("generator"):
        x = tf.reshape(tf.matmul(noise, variable("seed", [100, 7 * 7 * 64])), [-1, 7, 7, 64])
        x = grow(tf.nn.relu(batch_norm(x, "norm_7")), 14, 32, "up_14")
        return tf.tanh(grow(tf.nn.relu(batch_norm(x, "norm_14")), 28, 1, "up_28"))


def discriminator(images, reuse):
    with tf.variable_scope("discriminator", reuse=reuse):
        x = tf.nn.leaky_relu(tf.nn.conv2d(images, variable("down_14", [4, 4, 1, 32]), [1, 2, 2, 1], "SAME"))
        x = tf.nn.leaky_relu(tf.nn.conv2d(x, variable("down_7", [4, 4, 32, 64]), [1, 2, 2, 1], "SAME"))
        return tf.matmul(tf.reshape(x, [-1, 7 * 7 * 64]), variable("judge", [7 * 7 * 64, 1]))


def judged(logits, real):
    """The loss of a discriminator that should have said `real` (1) or not (0)."""
    return tf.losses.sigmoid_cross_entropy(tf.fill(tf.shape(logits), real), logits)


def distance(a, b):
    (mean_a, variance_a), (mean_b, variance_b) = tf.nn.moments(a, 0), tf.nn.moments(b, 0)
    return tf.reduce_mean(tf.abs(mean_a - mean_b)) + tf.reduce_mean(tf.abs(tf.sqrt(variance_a) - tf.sqrt(variance_b)))


def input_fn(mode):
    image, = mox.get_dataset("fashion_mnist", "train", flags.data_url).get(["image"])
    return tf.reshape(tf.cast(image, tf.float32), [28, 28, 1]) / 127.5 - 1


def model_fn(inputs, mode):
    real, = inputs
    fake = generator(tf.random_normal([BATCH_SIZE, 100]))
    of_real, of_fake = discriminator(real, reuse=tf.get_variable_scope().reuse), discriminator(fake, reuse=True)
    d_loss = judged(of_real, 0.9) + judged(of_fake, 0.0)
    g_loss = judged(of_fake, 1.0)
    return mox.ModelSpec(loss=[d_loss, g_loss], var_scopes=[["discriminator"], ["generator"]],
                         log_info={"D_loss": d_loss, "G_loss": g_loss, "distance": distance(real, fake)})


def main(_):
    adam = mox.get_optimizer_fn("adam", learning_rate=2e-4, beta1=0.5)
    mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=[adam, adam], run_mode=mox.ModeKeys.TRAIN,
            batch_size=BATCH_SIZE, log_dir=flags.train_url, max_number_of_steps=flags.steps, log_every_n_steps=50)


if __name__ == "__main__":
    tf.app.run(main=main)
