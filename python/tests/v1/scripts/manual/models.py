"""The manual's 1.3.3: networks, their meta data, ModelSpec's examples, output_fn, ExportSpec, collections, var_scope."""
import sys

import numpy as np
import pandas as pd
import tensorflow as tf
import moxing.tensorflow as mox

slim = tf.contrib.slim
work = sys.argv[1]

model_meta = mox.get_model_meta('resnet_v1_50')
assert (model_meta.default_image_size, model_meta.default_labels_offset, model_meta.default_logits_pattern) == (224, 1, 'logits')
assert mox.NetworkKeys.RESNET_V1_50 == 'resnet_v1_50' and mox.NetworkKeys.PNASNET_MOBILE == 'pnasnet_mobile'


def input_fn(mode, **kwargs):
  images = np.random.RandomState(1).rand(40, 28, 28, 1).astype(np.float32)
  ds = tf.data.Dataset.from_tensor_slices((images, np.arange(40) % 10))
  return ds.repeat().make_one_shot_iterator().get_next()


def model_fn(inputs, run_mode, **kwargs):
  images, labels = inputs
  mox_model_fn = mox.get_model_fn(name='lenet', run_mode=run_mode, num_classes=10, weight_decay=0.0001, data_format='NHWC',
                                  batch_norm_fused=True, batch_renorm=False, image_height=28, image_width=28)
  logits, end_points = mox_model_fn(images)
  labels_one_hot = slim.one_hot_encoding(labels, 10)
  loss = tf.losses.softmax_cross_entropy(logits=logits, onehot_labels=labels_one_hot, label_smoothing=0.0, weights=1.0)
  accuracy_top_1 = tf.reduce_mean(tf.cast(tf.nn.in_top_k(logits, labels, 1), tf.float32))
  assert mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES) and mox.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)
  confidences, top = tf.nn.top_k(tf.nn.softmax(logits), k=1)
  export_spec = mox.ExportSpec(inputs_dict={'images': images}, outputs_dict={'labels': top, 'confidences': confidences}, version=1)
  return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'top1': accuracy_top_1}, output_info={'prediction': tf.argmax(logits, axis=1)},
                       export_spec=export_spec)


result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn('sgd', learning_rate=0.01),
                 run_mode=mox.ModeKeys.TRAIN, batch_size=8, log_dir=work + '/lenet', max_number_of_steps=4,
                 export_model=mox.ExportKeys.TF_SERVING)
assert result.export_dir.endswith('/1')

# output_fn: one call for ten steps
calls = []


def output_fn(outputs):
  calls.append(len(outputs))
  df = pd.DataFrame(np.array(outputs))
  with mox.file.File(work + '/outputs.txt', 'w') as f:
    df.to_csv(f)


mox.run(input_fn=input_fn, model_fn=model_fn, output_fn=output_fn, output_every_n_steps=10, batch_size=8,
        run_mode=mox.ModeKeys.PREDICT, max_number_of_steps=10, checkpoint_path=work + '/lenet')
assert calls == [10] and 'prediction' in mox.file.read(work + '/outputs.txt')


# example 2: a placeholder that a hook feeds
def fed_model_fn(inputs, run_mode, **kwargs):
  del inputs
  x = tf.placeholder(dtype=tf.float32, shape=())

  class FeedRunHook(mox.AggregativeSessionRunHook):
    def before_run(self, run_context):
      feed_x = 1.0
      return tf.train.SessionRunArgs(fetches=None, feed_dict={x: feed_x})

    def support_aggregation(self):
      return False

    def support_sync_workers(self):
      return False

    def run_inter_mode(self):
      return False

  return mox.ModelSpec(log_info={'x': x}, hooks=[FeedRunHook()])


assert mox.run(input_fn=input_fn, model_fn=fed_model_fn, run_mode=mox.ModeKeys.EVAL, batch_size=8, max_number_of_steps=2).metrics == {'x': 1.0}


# example 3: two losses, each with the variables of its scope
def gan_model_fn(inputs, mode, **kwargs):
  with tf.variable_scope('generator'):
    g = tf.get_variable('g', [], initializer=tf.ones_initializer())
  with tf.variable_scope('discriminator'):
    d = tf.get_variable('d', [], initializer=tf.ones_initializer())
  D_loss, G_loss = (g * d - 3.0) ** 2, (g * d + 5.0) ** 2
  return mox.ModelSpec(loss=[D_loss, G_loss], var_scopes=[['discriminator'], ['generator']],
                       log_info={'D_loss': D_loss, 'G_loss': G_loss})


mox.run(input_fn=input_fn, model_fn=gan_model_fn, optimizer_fn=mox.get_optimizer_fn('sgd', 0.1), run_mode=mox.ModeKeys.TRAIN, batch_size=8,
        log_dir=work + '/gan', max_number_of_steps=1)
moved = [float(tf.train.load_variable(work + '/gan', name)) for name in ('discriminator/d', 'generator/g')]
assert np.allclose(moved, [1.4, -0.2]), moved

with mox.var_scope(force_dtype=tf.float32):
  a = tf.get_variable('a', shape=[], dtype=tf.float16)
assert a.dtype == tf.float16 and tf.global_variables()[0].dtype.base_dtype == tf.float32
print('all models')
