"""TensorFlow 1 without mox.run: a session, feeds, a saver, a frozen graph, a saved model."""
import argparse
import os
import sys
import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data
import moxing as mox

parser = argparse.ArgumentParser()
parser.add_argument('--data_url', type=str)
parser.add_argument('--train_url', type=str)
parser.add_argument('--num_gpus', type=int, default=1)
args = parser.parse_args()
assert args.num_gpus == 2, args
local = os.path.join(args.train_url, 'data')
mox.file.copy_parallel(args.data_url, local)
mnist = input_data.read_data_sets(local, one_hot=True, validation_size=0)
x = tf.placeholder(tf.float32, [None, 784], name='x')
labels = tf.placeholder(tf.float32, [None, 10])
W = tf.Variable(tf.truncated_normal([784, 10], stddev=0.1))
y = tf.add(tf.matmul(x, W), tf.Variable(tf.constant(0.1, shape=[10])), name='y')
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=y, labels=labels))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(y, 1), tf.argmax(labels, 1)), 'float'))
tf.summary.scalar('loss', loss)
saver = tf.train.Saver()
with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as sess:
  sess.run(tf.global_variables_initializer())
  writer = tf.summary.FileWriter(args.train_url, sess.graph)
  for step in xrange(30):
    images, ys = mnist.train.next_batch(50)
    _, summary = sess.run([train, tf.summary.merge_all()], feed_dict={x: images, labels: ys})
    writer.add_summary(summary, step)
  print('accuracy', accuracy.eval({x: mnist.test.images, labels: mnist.test.labels}), 'epochs', mnist.train.epochs_completed)
  saver.save(sess, args.train_url + '/model.ckpt', global_step=30)
  frozen = tf.graph_util.convert_variables_to_constants(sess, sess.graph_def, ['y'])
  builder = tf.saved_model.builder.SavedModelBuilder(args.train_url + '/saved')
  builder.add_meta_graph_and_variables(sess, [tf.saved_model.tag_constants.SERVING], {
      'predict': tf.saved_model.signature_def_utils.predict_signature_def({'x': x}, {'y': y})})
  builder.save()
with tf.Graph().as_default(), tf.Session() as sess:
  again, = tf.import_graph_def(frozen, return_elements=['y:0'], name='')
  print(again.eval({'x:0': np.zeros([1, 784])}).shape)
sys.exit(7)
