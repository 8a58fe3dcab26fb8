"""A training whose checkpoints go to the store by a hook of its own, made of TensorFlow's; ranks, hparams, a scaled optimizer."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function
from __future__ import unicode_literals

import os
import sys

import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox
import moxing.tensorflow.executor.ops_adapter as ops_adapter

local, url = sys.argv[1], sys.argv[2]
hparams = tf.contrib.training.HParams(train_steps=6, gradient_clip=1.0, learning_rate=0.1, save_checkpoints_secs=600)


class CheckpointSyncHook(tf.train.CheckpointSaverHook):
  def __init__(self, checkpoint_dir, save_secs=None, save_steps=None):
    self._s3_dir = checkpoint_dir
    super(CheckpointSyncHook, self).__init__(checkpoint_dir=os.path.join(local, 'model_dir'), save_secs=save_secs, save_steps=save_steps,
                                             checkpoint_basename='mine.ckpt')

  def _save(self, session, step):
    super(CheckpointSyncHook, self)._save(session, step)
    prefix = '%s-%d' % (self._save_path, step)
    names = [name for name in mox.file.list_directory(self._checkpoint_dir)
             if os.path.join(self._checkpoint_dir, name).startswith(prefix) or not name.startswith('mine.ckpt')]
    mox.file.copy_parallel(self._checkpoint_dir, self._s3_dir, file_list=names)


def mox2tf_mode(run_mode):
  modes = {mox.ModeKeys.TRAIN: tf.estimator.ModeKeys.TRAIN, mox.ModeKeys.EVAL: tf.estimator.ModeKeys.EVAL,
           mox.ModeKeys.PREDICT: tf.estimator.ModeKeys.PREDICT}
  if run_mode not in modes:
    raise ValueError('Unknown mode ' + str(run_mode))
  return modes[run_mode]


def input_fn(run_mode, **kwargs):
  assert mox2tf_mode(run_mode) == 'train'
  rows = np.random.RandomState(0).rand(64, 4).astype(np.float32)
  dataset = tf.data.Dataset.from_tensor_slices({'x': rows, 'y': rows.sum(1)}).shard(ops_adapter.size(), ops_adapter.rank())
  return dataset.repeat().batch(8).make_one_shot_iterator().get_next()


def model_fn(inputs, run_mode, **kwargs):
  losses_dict = {'training': tf.losses.mean_squared_error(inputs['y'], tf.layers.dense(inputs['x'], 1)[:, 0])}
  loss = 0.
  loss += sum(losses_dict[key] for key in sorted(losses_dict.keys()))
  tf.summary.scalar('loss', loss)
  hooks = [CheckpointSyncHook(url + '/model', save_secs=hparams.save_checkpoints_secs)] if url.startswith('s3://') else []
  return mox.ModelSpec(loss=loss, log_info={'loss': loss}, hooks=hooks)


def optimizer_fn():
  opt = mox.get_optimizer_fn('adam', learning_rate=hparams.learning_rate)()
  manager = tf.contrib.mixed_precision.ExponentialUpdateLossScaleManager(
      init_loss_scale=1024., incr_every_n_steps=2000, decr_every_n_nan_or_inf=2, incr_ratio=2., decr_ratio=0.8)
  return tf.contrib.mixed_precision.LossScaleOptimizer(opt, manager)


def main(argv):
  mox.file.make_dirs(local + '/local_log')
  mox.set_flag('gradient_clip_type', 'norm')
  mox.set_flag('gradient_clip', hparams.gradient_clip)
  mox.set_flag('sync_before_server', True)
  mox.set_flag('session_timeout', 0)
  mox.set_flag('num_inter_threads', 0)
  mox.set_flag('num_intra_threads', 0)
  mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN, log_dir=local + '/run',
          max_number_of_steps=hparams.train_steps, log_every_n_steps=100, save_model_secs=hparams.save_checkpoints_secs,
          save_summary_steps=100, auto_batch=False)
  newest = tf.train.latest_checkpoint(url + '/model')
  assert newest is not None and newest.endswith('mine.ckpt-6'), newest
  if ops_adapter.rank() == 0:
    mox.file.copy_parallel(local + '/run', url + '/run')
  assert tf.train.latest_checkpoint(url + '/run').endswith('model.ckpt-6')
  print('synced_hook ok')


if __name__ == '__main__':
  tf.logging.set_verbosity(tf.logging.INFO)
  tf.app.run()
