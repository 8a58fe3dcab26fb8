"""The manual's first script: softmax regression on MNIST or Fashion-MNIST.

    python mnist_softmax.py --data_url=DIR --train_url=DIR [--steps=1000] [--input=generator] [MoXing's flags]
"""
import tensorflow.compat.v1 as tf

import input_data
import moxing.tensorflow as mox

tf.flags.DEFINE_string("data_url", "/usr/share/datasets/fashion-mnist", "folder of the idx files")
tf.flags.DEFINE_string("train_url", None, "folder for checkpoints, events and the exported model")
tf.flags.DEFINE_integer("steps", 1000, "training steps")
tf.flags.DEFINE_enum("input", "dataset", ["dataset", "generator"],
                     "MoXing's data set, or a Python generator (every step then waits for Python)")
flags = tf.flags.FLAGS


def generator_input():
    mnist = input_data.read_data_sets(flags.data_url, one_hot=True)

    def gen():
        while True:
            yield mnist.train.next_batch(100)

    ds = tf.data.Dataset.from_generator(
        gen, output_types=(tf.float32, tf.int64),
        output_shapes=(tf.TensorShape([None, 784]), tf.TensorShape([None, 10])))
    return ds.make_one_shot_iterator().get_next()


def dataset_input():
    dataset = mox.get_dataset("mnist", "train", flags.data_url, batch_size=100)
    images, labels = dataset.get(["image", "label"])
    return tf.reshape(tf.cast(images, tf.float32) / 255, [-1, 784]), tf.one_hot(labels, 10)


def input_fn(run_mode, **kwargs):
    return generator_input() if flags.input == "generator" else dataset_input()


def model_fn(inputs, run_mode, **kwargs):
    x, y_ = inputs
    W = tf.get_variable(name="W", initializer=tf.zeros([784, 10]))
    b = tf.get_variable(name="b", initializer=tf.zeros([10]))
    y = tf.matmul(x, W) + b
    cross_entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=y))
    return mox.ModelSpec(loss=cross_entropy, log_info={"loss": cross_entropy})


def optimizer_fn():
    return tf.train.GradientDescentOptimizer(0.5)


def main(_):
    mox.run(input_fn=input_fn,
            model_fn=model_fn,
            optimizer_fn=optimizer_fn,
            run_mode=mox.ModeKeys.TRAIN,
            batch_size=100,
            auto_batch=False,
            log_dir=flags.train_url,
            max_number_of_steps=flags.steps,
            log_every_n_steps=100)


if __name__ == "__main__":
    tf.app.run(main=main)
