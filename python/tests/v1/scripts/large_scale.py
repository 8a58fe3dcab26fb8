"""In the style of benchmarks on clusters: a command line full of the original's flags, an input of constants, one-cycle schedules."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os
import sys

import numpy as np
import tensorflow as tf
from tensorflow.contrib import slim

import moxing.tensorflow as mox
from moxing.tensorflow.datasets.tfrecord_image import ProgressiveImagenetDataset
from moxing.tensorflow.optimizer.dynamic_momentum import DyMomentumOptimizer
from moxing.tensorflow.optimizer.dynamic_momentumw import DyMomentumWOptimizer
from moxing.tensorflow.optimizer.learning_rate_scheduler import linear_cosine_decay, polynomial_decay
import moxing.tensorflow.executor.ops_adapter as ops_adapter

tf.logging.set_verbosity(tf.logging.INFO)
tf.flags.DEFINE_string('data_format', default='NCHW', help='NHWC or NCHW')
tf.flags.DEFINE_string('model_name', default='resnet_v1_20', help='')
tf.flags.DEFINE_integer('batch_size', default=4, help='')
tf.flags.DEFINE_boolean('fp16', default=False, help='')
tf.flags.DEFINE_boolean('split_to_device', False, '')
tf.flags.DEFINE_string('use_optimizer', 'dymomentum', '')
tf.flags.DEFINE_string('use_lr_schedule', 'lcd', '')
tf.flags.DEFINE_float('max_lr', 0.4, '')
tf.flags.DEFINE_float('min_lr', 0.005, '')
tf.flags.DEFINE_float('warmup', 0.1, '')
tf.flags.DEFINE_string('train_url', default=None, help='')
flags = tf.flags.FLAGS
flags(sys.argv, known_only=True)
mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
STEPS = 4


def input_fn(mode, **kwargs):
  rng = np.random.RandomState(ops_adapter.rank())
  image = tf.constant(rng.randint(low=0, high=255, size=[flags.batch_size, 32, 32, 3]).astype(np.float32))
  label = tf.constant(rng.randint(low=0, high=9, size=[flags.batch_size], dtype=np.int64))
  tf.summary.scalar(name='image_shape', tensor=tf.shape(image)[2])
  if flags.split_to_device:
    input_spec = mox.InputSpec(split_to_device=True)
    input_spec.new_input([image, label])
    return input_spec
  return image, label


def model_fn(inputs, mode, **kwargs):
  images, labels = inputs.get_input(0) if flags.split_to_device else inputs
  if flags.fp16:
    images = tf.cast(images, tf.float16)

  def preprocess_fn(images, run_mode, *args):
    channels = tf.split(axis=3, num_or_size_splits=3, value=images / 255.0)
    for i in range(3):
      channels[i] = (channels[i] - mean[i]) / std[i]
    images = tf.concat(axis=3, values=channels)
    if flags.data_format == 'NCHW':
      images = tf.transpose(images, perm=(0, 3, 1, 2))
    return images

  logits, end_points = mox.get_model_fn(name=flags.model_name, run_mode=mode, num_classes=10, preprocess_fn=preprocess_fn,
                                        weight_decay=1e-4, data_format=flags.data_format, batch_norm_fused=True,
                                        batch_renorm=False)(images)
  loss = tf.losses.softmax_cross_entropy(logits=logits, onehot_labels=slim.one_hot_encoding(labels, 10), label_smoothing=0.0, weights=1.0)
  top_5 = tf.reduce_mean(tf.cast(tf.nn.in_top_k(tf.cast(logits, tf.float32), labels, 5), tf.float32))
  log_info = {'ent_loss': loss, 'top-5': top_5}
  regularization_losses = mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
  if len(regularization_losses) > 0 and flags.use_optimizer != 'dymomentumw':
    log_info['reg_loss'] = tf.add_n(regularization_losses)
    loss = loss + log_info['reg_loss']
  return mox.ModelSpec(loss=loss, log_info=log_info)


def optimizer_fn():
  global_step = tf.train.get_or_create_global_step()
  decay = linear_cosine_decay if flags.use_lr_schedule == 'lcd' else polynomial_decay
  lr = decay(flags.max_lr, flags.min_lr, global_step, STEPS, flags.warmup, 0.95)
  kind = DyMomentumWOptimizer if flags.use_optimizer == 'dymomentumw' else DyMomentumOptimizer
  opt = kind(lr, flags.max_lr, flags.min_lr, max_mom=0.98, min_mom=0.85, global_step=global_step, max_iteration=STEPS, use_nesterov=True,
             cooldown=0.05, use_lars=False, weight_decay=1e-4)
  tf.summary.scalar(name='momentum', tensor=opt.get_momentum())
  from moxing.tensorflow.optimizer.simple_sync_optimizer import SimpleSyncOptimizer
  return SimpleSyncOptimizer(opt, num_workers=1, task_index=mox.get_flag('task_index'))


def main(*args, **kwargs):
  mox.set_flag('session_timeout', 0)
  mox.set_flag('chief_inc_global_step', True)
  mox.file.set_auth(retry=50)
  log_dir = flags.train_url
  if not mox.file.is_directory(log_dir):
    mox.file.make_dirs(log_dir)
  result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode='TRAIN', batch_size=flags.batch_size,
                   max_number_of_steps=STEPS, log_every_n_steps=1, log_dir=log_dir, auto_batch=False, save_summary_steps=2,
                   checkpoint_path=None, save_model_secs=36000)
  print('steps', result.steps, sorted(result.metrics))


if __name__ == '__main__':
  tf.app.run(main=main)
