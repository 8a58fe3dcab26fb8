"""Flags in the ways of TensorFlow 1; prints what the script gets."""
import argparse
import os
import sys
import tensorflow as tf
from absl import flags as absl_flags

tf.flags.DEFINE_string('data_url', None, 'one')
tf.flags.DEFINE_string(flag_name='log_dir', default_value='/l', docstring="absl's own, too")
tf.app.flags.DEFINE_integer('steps', 7, '')
tf.app.flags.DEFINE_float('rate', 0.5, '')
tf.app.flags.DEFINE_string('text', 'default', '')
tf.flags.DEFINE_bool('v', False, "a number of absl's")
tf.flags.DEFINE_string('verbosity', 'much', "a number of absl's, which it reads when the script runs")
FLAGS = tf.app.flags.FLAGS
first = FLAGS.data_url  # parses all flags that there are
tf.flags.DEFINE_integer('num_gpus', 1, "MoXing's, too; defined after the first look")
absl_flags.DEFINE_boolean('use_fp16', False, "MoXing's, too")
FLAGS.steps += 1
try:
  tf.flags.DEFINE_string('text', 'again', '')
except tf.flags.DuplicateFlagError:
  print('text is there already')
import moxing.tensorflow as mox


def main(argv):
  print(first, FLAGS.log_dir, FLAGS.steps, FLAGS.rate, repr(FLAGS.text), FLAGS.v, FLAGS.num_gpus, FLAGS.use_fp16)
  print(mox.get_flag('num_gpus'), mox.get_flag('use_fp16'), mox.get_flag('loss_scale'), repr(mox.get_flag('worker_hosts')))
  print(argv[1:], sys.argv[1:], os.path.isabs(__file__), os.path.basename(sys.argv[0]))
  print(FLAGS.flag_values_dict()['steps'], 'steps' in FLAGS, FLAGS['rate'].value, hasattr(FLAGS, 'nothing'), FLAGS.verbosity)
  parser = argparse.ArgumentParser()
  parser.add_argument('--num_gpus', type=int, default=0)
  parser.add_argument('--data_url')
  print(parser.parse_known_args()[0])


if __name__ == '__main__':
  tf.app.run()
