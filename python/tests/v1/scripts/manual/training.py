"""The manual's 1.1.1 and 1.2.1: a softmax regression, at first as a list of statements, then with tf.app.run and an export."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

from tensorflow.examples.tutorials.mnist import input_data
import tensorflow as tf
import moxing.tensorflow as mox

tf.flags.DEFINE_string('data_url', None, 'Dir of dataset')
tf.flags.DEFINE_string('train_url', None, 'Train Url')
flags = tf.flags.FLAGS

mnist = input_data.read_data_sets(flags.data_url, one_hot=True, validation_size=100)


def input_of(size):
  def input_fn(run_mode, **kwargs):
    def gen():
      while True:
        yield mnist.train.next_batch(size)
    ds = tf.data.Dataset.from_generator(gen, output_types=(tf.float32, tf.int64),
                                        output_shapes=(tf.TensorShape([None, 784]), tf.TensorShape([None, 10])))
    return ds.make_one_shot_iterator().get_next()
  return input_fn


def model_fn(inputs, run_mode, **kwargs):
  x, y_ = inputs
  W = tf.get_variable(name='W', initializer=tf.zeros([784, 10]))
  b = tf.get_variable(name='b', initializer=tf.zeros([10]))
  y = tf.matmul(x, W) + b
  cross_entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y))
  accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1)), tf.float32))
  return mox.ModelSpec(loss=cross_entropy, log_info={'loss': cross_entropy, 'accuracy': accuracy},
                       export_spec=mox.ExportSpec(inputs_dict={'images': x}, outputs_dict={'logits': y}))


def optimizer_fn():
  return tf.train.GradientDescentOptimizer(0.5)


mox.run(input_fn=input_of(100), model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN, batch_size=100,
        auto_batch=False, log_dir=flags.train_url, max_number_of_steps=60)


def main(*args, **kwargs):
  for filename in ['train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz', 't10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz']:
    if not mox.file.exists(os.path.join(flags.data_url, filename)):
      raise ValueError('MNIST dataset file %s not found in %s' % (filename, flags.data_url))
  result = mox.run(input_fn=input_of(50), model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn('sgd', learning_rate=0.01),
                   run_mode=mox.ModeKeys.TRAIN, batch_size=50, auto_batch=False, log_dir=flags.train_url + '/second',
                   max_number_of_steps=60, log_every_n_steps=10, export_model=mox.ExportKeys.TF_SERVING)
  print('steps', result.steps, 'export', os.path.basename(result.export_dir), 'accuracy', result.metrics['accuracy'] > 0.5)


if __name__ == '__main__':
  tf.app.run(main=main)
