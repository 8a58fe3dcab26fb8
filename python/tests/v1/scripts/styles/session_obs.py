"""A session's training without mox.run: moxing moves files only; summaries and checkpoints go to the store by tf.gfile's paths."""
import os
import sys

import tensorflow as tf
from moxing.framework import file

flags = tf.app.flags
flags.DEFINE_string('data_url', '', 'dataset directory.')
flags.DEFINE_string('train_url', '', 'saved model directory.')
flags.DEFINE_integer('steps', 5, 'steps')
FLAGS = flags.FLAGS


def main(_):
  with tf.gfile.GFile(os.path.join(FLAGS.data_url, 'numbers.txt'), 'w') as f:
    f.write('1 2 3 4')
  data = [float(x) for x in tf.gfile.GFile(os.path.join(FLAGS.data_url, 'numbers.txt')).read().split()]
  x = tf.placeholder(tf.float32, [None])
  w = tf.Variable(0.0, name='w')
  loss = tf.reduce_mean(tf.square(w * x - 2 * x))
  global_step = tf.train.get_or_create_global_step()
  train_op = tf.train.GradientDescentOptimizer(0.05).minimize(loss, global_step=global_step)
  tf.summary.scalar('loss', loss)
  merged = tf.summary.merge_all()
  saver = tf.train.Saver(max_to_keep=2)
  config = tf.ConfigProto(allow_soft_placement=True)
  with tf.Session(config=config) as sess:
    sess.run(tf.global_variables_initializer())
    writer = tf.summary.FileWriter(os.path.join(FLAGS.train_url, 'logs'), sess.graph)
    for step in range(FLAGS.steps):
      _, text = sess.run([train_op, merged], {x: data})
      writer.add_summary(text, step)
      saver.save(sess, os.path.join(FLAGS.train_url, 'model.ckpt'), global_step=step)
    writer.close()
    trained = sess.run(w)
  newest = tf.train.latest_checkpoint(FLAGS.train_url)
  assert newest.endswith('model.ckpt-4'), newest
  with tf.Session() as sess:
    saver.restore(sess, newest)
    assert abs(sess.run(w) - trained) < 1e-6 and abs(trained - 2) < 0.1
  assert file.exists(os.path.join(FLAGS.train_url, 'checkpoint'))
  assert any('tfevents' in name for name in file.list_directory(os.path.join(FLAGS.train_url, 'logs')))
  print('session_obs ok')


if __name__ == '__main__':
  tf.app.run()
