"""The first script of the manual, with the parts that change between scripts."""
import sys
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

tf.flags.DEFINE_string('data_url', '/nowhere', 'Directory for storing input data')
tf.flags.DEFINE_string('train_url', None, 'Directory for output logs')
tf.flags.DEFINE_string('input', 'generator', 'generator, arrays')
flags = tf.flags.FLAGS
assert tf.gfile.IsDirectory(flags.data_url)  # also in a store, and nobody has imported moxing
mnist = input_data.read_data_sets(flags.data_url, one_hot=True, validation_size=100)

import moxing.tensorflow as mox


def input_fn(run_mode, **kwargs):
  if flags.input == 'arrays':
    x, y_ = mnist.train.next_batch(50)
    return x * 1.0, tf.cast(y_, tf.int64)

  def gen():
    for _ in range(5 * mnist.train.num_examples // 50):
      yield mnist.train.next_batch(50)

  ds = tf.data.Dataset.from_generator(gen, output_types=(tf.float32, tf.int64),
                                      output_shapes=(tf.TensorShape([None, 784]), tf.TensorShape([None, 10])))
  return ds.make_one_shot_iterator().get_next()


def model_fn(inputs, run_mode, **kwargs):
  x, y_ = inputs
  W = tf.get_variable(name='W', initializer=tf.zeros([784, 10]))
  b = tf.Variable(tf.zeros([10]), name='b')
  y = tf.matmul(x, W) + b
  loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y))
  accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1)), tf.float32))
  return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'accuracy': accuracy})


result = mox.run(input_fn=input_fn,
                 model_fn=model_fn,
                 optimizer_fn=lambda: tf.train.GradientDescentOptimizer(0.5),
                 run_mode=mox.ModeKeys.TRAIN,
                 log_dir=flags.train_url,
                 max_number_of_steps=60 if flags.input == 'arrays' else sys.maxint)
print(sorted(name for name, _ in tf.contrib.framework.list_variables(flags.train_url)))
print('steps', result.steps, 'accuracy', result.metrics['accuracy'])
with tf.gfile.Open(flags.train_url + '/done.txt', 'w') as f:
  f.write('done')
