"""Trains layers of TF-Slim, tf.layers and Keras, each made as old scripts do."""
import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox
from keras.layers import Dense, Flatten

slim = tf.contrib.slim
tf.flags.DEFINE_string('kinds', 'slim', '')
tf.flags.DEFINE_string('log_dir', None, 'absl has a flag of this name')
tf.flags.DEFINE_integer('batch_size', 10, '')
tf.flags.DEFINE_integer('num_gpus', 1, "MoXing's, too")
tf.flags.DEFINE_boolean('use_fp16', False, "MoXing's, too")
FLAGS = tf.flags.FLAGS
labels = np.arange(40) % 4
images = (np.eye(4)[labels][:, :, None, None] * np.ones([1, 1, 4, 1])).astype(np.float32)


def input_fn(mode):
  return tf.data.Dataset.from_tensor_slices((images, labels)).repeat().make_one_shot_iterator().get_next()


def by_slim(x, training):
  with slim.arg_scope([slim.conv2d, slim.fully_connected], weights_regularizer=slim.l2_regularizer(1e-4)):
    with slim.arg_scope([slim.batch_norm], is_training=training, decay=0.9):
      net = slim.conv2d(x, 8, [3, 3], normalizer_fn=slim.batch_norm)
      return slim.fully_connected(slim.flatten(net), 4, activation_fn=None)


def by_layers(x, training):
  net = tf.layers.conv2d(x, 8, 3, padding='same', use_bias=False)
  net = tf.nn.relu(tf.layers.batch_normalization(net, training=training))
  return tf.layers.dense(tf.layers.dropout(tf.layers.flatten(net), 0.1, training=training), 4)


def by_keras(x, training):
  return Dense(4)(tf.keras.layers.Dropout(0.1)(Dense(8, activation='relu')(Flatten()(x)), training=training))


def model_fn(inputs, mode, **kwargs):
  x, y = inputs
  logits = globals()['by_' + kind](x, mode == mox.ModeKeys.TRAIN)
  loss = tf.losses.softmax_cross_entropy(slim.one_hot_encoding(y, 4), logits)
  losses = mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
  if losses:
    loss += tf.add_n(losses)
  accuracy = tf.reduce_mean(tf.to_float(tf.nn.in_top_k(logits, y, 1)))
  return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'accuracy': accuracy})


def main(_):
  global kind
  assert FLAGS.num_gpus == mox.get_flag('num_gpus') and FLAGS.use_fp16 == mox.get_flag('use_fp16')
  for kind in FLAGS.kinds.split(','):
    log_dir = FLAGS.log_dir + '/' + kind
    result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn('adam', 0.03), log_dir=log_dir,
                     run_mode=mox.ModeKeys.TRAIN, batch_size=FLAGS.batch_size, max_number_of_steps=60)
    reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(log_dir))
    names = [name for name in reader.get_variable_to_shape_map() if 'Adam' not in name and 'power' not in name]
    print(kind, len(names), 'variables, accuracy', result.metrics['accuracy'])


if __name__ == '__main__':
  tf.app.run()
