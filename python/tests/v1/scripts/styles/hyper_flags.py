"""The style of a benchmark script of the original: every flag it knows, warm-up schedules by function, a compat layer, ranks."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os
os.environ.pop('http_proxy', None)
import math
import numpy as np
import sys

import tensorflow as tf
import moxing.tensorflow as mox
import moxing.tensorflow.executor.ops_adapter as ops_adapter
from moxing.framework.util import compat, runtime
from moxing.tensorflow.optimizer.dynamic_momentum import DyMomentumOptimizer
from moxing.tensorflow.optimizer.dynamic_momentumw import DyMomentumWOptimizer
from moxing.tensorflow.optimizer.learning_rate_scheduler import linear_cosine_decay, polynomial_decay
from moxing.tensorflow.optimizer.simple_sync_optimizer import SimpleSyncOptimizer
from moxing.tensorflow.utils import tf_util
from moxing.tensorflow.utils.hyper_param_flags import mox_flags

tf.logging.set_verbosity(tf.logging.INFO)
tf.flags.DEFINE_integer('batch_size', 8, 'mini batch')
tf.flags.DEFINE_string('train_url', None, 'log dir')
tf.flags.DEFINE_float('base_lr', 0.1, 'rate')
tf.flags.DEFINE_string('optimizer', 'dymomentum', 'which')
flags = tf.flags.FLAGS


def input_fn(mode, **kwargs):
  images = np.random.RandomState(1).randn(64, 8).astype(np.float32)
  labels = (images.sum(1) > 0).astype(np.int64)
  return tf.data.Dataset.from_tensor_slices((images, labels)).repeat().make_one_shot_iterator().get_next()


def model_fn(inputs, mode, **kwargs):
  images, labels = inputs
  logits = tf.layers.dense(images, 2)
  loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
  return mox.ModelSpec(loss=loss, log_info={'loss': loss})


def optimizer_fn():
  global_step = tf.train.get_or_create_global_step()
  decay_end = 1.0 - 0.2
  if flags.optimizer == 'momentum':
    return tf.train.MomentumOptimizer(polynomial_decay(0.1, 0.001, global_step, 20, 0.2, decay_end), 0.9)
  lr = linear_cosine_decay(0.1, 0.001, global_step, 20, 0.2, decay_end)
  kwargs = dict(max_mom=0.95, min_mom=0.85, global_step=global_step, max_iteration=20, use_nesterov=True, cooldown=0.2, use_lars=False,
                weight_decay=1e-4)
  make = DyMomentumOptimizer if flags.optimizer == 'dymomentum' else DyMomentumWOptimizer
  opt = make(lr, 0.1, 0.001, **kwargs)
  tf.summary.scalar(name='momentum', tensor=opt.get_momentum())
  return SimpleSyncOptimizer(opt, num_workers=1, task_index=0)


def main(*args):
  assert 'num_gpus' in mox_flags.get_help()
  assert tf_util.version_info() >= (1, 8, 0)
  assert ops_adapter.rank() == 0 and ops_adapter.size() == 1
  total = mox.get_flag('num_gpus') * len(mox.get_flag('worker_hosts').split(','))
  assert math.ceil(100 / (flags.batch_size * total)) == 13
  result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN,
                   batch_size=flags.batch_size, log_dir=flags.train_url, max_number_of_steps=20, log_every_n_steps=5,
                   save_summary_steps=0, save_model_secs=0)
  print('hyper_flags', result.steps)


if __name__ == '__main__':
  tf.app.run(main=main)
