"""What is not there."""
import sys
import tensorflow as tf
if '--import' in sys.argv:
  from tensorflow.contrib.opt import AdamWOptimizer


def model(x):
  if not hasattr(tf, 'no_such_name'):
    return tf.contrib.seq2seq.BasicDecoder(
        x)


model(1)
