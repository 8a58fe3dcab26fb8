"""One script for all: TRAIN with inter evaluation, EVAL and PREDICT after it, an output_fn, an early end, a dict of what was found."""
import os
import sys

import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox
from moxing.tensorflow.executor.hooks import AggregativeSessionRunHook

slim = tf.contrib.slim
tf.flags.DEFINE_string('train_url', None, '')
tf.flags.DEFINE_string('run_mode', 'all', '')
flags = tf.flags.FLAGS


def input_fn(run_mode, **kwargs):
  rng = np.random.RandomState(0 if run_mode == mox.ModeKeys.TRAIN else 1)
  x = rng.rand(200, 6).astype(np.float32)
  y = (x.sum(1) > 3).astype(np.int64)
  ds = tf.data.Dataset.from_tensor_slices((x, y))
  if run_mode == mox.ModeKeys.TRAIN:
    ds = ds.shuffle(200).repeat()
  return ds.make_one_shot_iterator().get_next()


def model_fn(inputs, run_mode, **kwargs):
  x, y = inputs
  with slim.arg_scope([slim.fully_connected], weights_regularizer=slim.l2_regularizer(1e-5)):
    net = slim.fully_connected(x, 16, scope='fc1')
    logits = slim.fully_connected(net, 2, activation_fn=None, scope='fc2')
  loss = tf.losses.sparse_softmax_cross_entropy(y, logits) + tf.add_n(mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
  accuracy = tf.reduce_mean(tf.cast(tf.nn.in_top_k(logits, y, 1), tf.float32))
  return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'accuracy': accuracy}, output_info={'class': tf.argmax(logits, 1)},
                       export_spec=mox.ExportSpec(inputs_dict={'x': x}, outputs_dict={'logits': logits}, version=2))


found = []


def output_fn(outputs):
  found.extend(int(c) for output in outputs for c in output['class'])


def optimizer_fn():
  return tf.train.AdamOptimizer(0.02)


mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN, inter_mode=mox.ModeKeys.EVAL,
        batch_size=20, log_dir=flags.train_url, max_number_of_steps=60, log_every_n_steps=20,
        export_model=mox.ExportKeys.TF_SERVING)
evaluated = mox.run(input_fn=input_fn, model_fn=model_fn, run_mode=mox.ModeKeys.EVAL, batch_size=20, checkpoint_path=flags.train_url,
                    max_number_of_steps=10, log_every_n_steps=5)
mox.run(input_fn=input_fn, model_fn=model_fn, output_fn=output_fn, output_every_n_steps=2, run_mode=mox.ModeKeys.PREDICT,
        batch_size=20, checkpoint_path=flags.train_url, max_number_of_steps=10)
assert os.path.exists(os.path.join(flags.train_url, '2', 'saved_model.pb'))
print('several_modes', len(found), set(found) <= {0, 1}, evaluated.metrics['accuracy'] > 0.7)
