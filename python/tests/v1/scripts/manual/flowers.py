"""The manual's 1.2.2: transfer learning in float16 with variables of float32, NCHW, weight decay and a loss scale."""
import os
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import tensorflow as tf
from tensorflow.contrib import slim

import moxing.tensorflow as mox
from moxing.tensorflow.optimizer import learning_rate_scheduler

tf.flags.DEFINE_string('data_url', None, 'Necessary. dataset dir')
tf.flags.DEFINE_string('model_name', 'resnet_v1_50', 'Necessary. model_name')
tf.flags.DEFINE_string('train_url', None, 'Optional. train_dir')
tf.flags.DEFINE_string('checkpoint_url', None, 'Optional. checkpoint path')
tf.flags.DEFINE_integer('batch_size', 64, 'Necessary. batch size')
tf.flags.DEFINE_integer('image_size', 32, '')
flags = tf.flags.FLAGS


def main(*args, **kwargs):
  num_gpus = mox.get_flag('num_gpus')
  num_workers = len(mox.get_flag('worker_hosts').split(','))
  model_meta = mox.get_model_meta(flags.model_name)
  mox.set_flag('checkpoint_exclude_patterns', ','.join(['global_step', model_meta.default_logits_pattern]))
  data_meta = mox.ImageClassificationRawMetadata(base_dir=flags.data_url)
  mox.set_flag('loss_scale', 1024.0)

  def input_fn(mode, **kwargs):
    augmentation_fn = mox.get_data_augmentation_fn(name=flags.model_name, run_mode=mode, output_height=flags.image_size,
                                                   output_width=flags.image_size)
    dataset = mox.ImageClassificationRawDataset(data_meta, batch_size=flags.batch_size, augmentation_fn=augmentation_fn,
                                                reader_class=mox.AsyncRawGenerator)
    images, labels = dataset.get(['image', 'label'])
    return images, labels

  def model_fn(inputs, mode, **kwargs):
    images, labels = inputs
    mox_model_fn = mox.get_model_fn(name=flags.model_name, run_mode=mode, num_classes=data_meta.num_classes, weight_decay=0.00004,
                                    data_format='NCHW', batch_norm_fused=True)
    images = tf.cast(images, tf.float16)
    with mox.var_scope(force_dtype=tf.float32):
      logits, _ = mox_model_fn(images)
    labels_one_hot = slim.one_hot_encoding(labels, data_meta.num_classes)
    loss = tf.losses.softmax_cross_entropy(labels_one_hot, logits=logits)
    loss = loss + tf.add_n(mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
    accuracy = tf.reduce_mean(tf.cast(tf.nn.in_top_k(tf.cast(logits, tf.float32), labels, 1), tf.float32))
    export_spec = mox.ExportSpec(inputs_dict={'images': images}, outputs_dict={'logits': logits}, version='model')
    return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'accuracy': accuracy}, export_spec=export_spec)

  def optimizer_fn():
    lr = learning_rate_scheduler.piecewise_lr('10:0.01,20:0.001', num_samples=data_meta.total_num_samples,
                                              global_batch_size=flags.batch_size * num_gpus * num_workers)
    return tf.train.MomentumOptimizer(learning_rate=lr, momentum=0.9)

  result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN,
                   log_dir=flags.train_url, batch_size=flags.batch_size, auto_batch=False, checkpoint_path=flags.checkpoint_url,
                   max_number_of_steps=3)
  print('steps', result.steps, 'dtypes', sorted({dtype for _, dtype in (
      (name, str(tf.train.load_variable(flags.train_url, name).dtype)) for name, _ in tf.train.list_variables(flags.train_url))}))


if __name__ == '__main__':
  tf.app.run(main=main)
