"""Keras layers that are not told whether they train: they follow mox.run's mode, or what the script told Keras."""
import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox

tf.flags.DEFINE_string('train_url', None, '')
FLAGS = tf.flags.FLAGS
ROWS = (np.random.RandomState(0).rand(256, 3) * [1, 10, 100]).astype(np.float32)


def input_fn(mode):
  dataset = tf.data.Dataset.from_tensor_slices(ROWS)
  return dataset.repeat(None if mode == mox.ModeKeys.TRAIN else 1).make_one_shot_iterator().get_next()


def model_fn(inputs, run_mode, **kwargs):
  from tensorflow.python.keras.layers import BatchNormalization, Dense, Dropout
  x = BatchNormalization(momentum=0.5)(inputs[0])
  kept = tf.reduce_mean(tf.to_float(tf.not_equal(Dropout(0.5)(tf.ones_like(x)), 0)))
  loss = tf.reduce_mean(tf.square(Dense(1)(x)))
  return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'kept': kept})


def train_and_evaluate(folder):
  options = dict(input_fn=input_fn, model_fn=model_fn, batch_size=32)
  trained = mox.run(optimizer_fn=mox.get_optimizer_fn('sgd', 0.0), run_mode=mox.ModeKeys.TRAIN, inter_mode=mox.ModeKeys.EVAL,
                    log_dir=folder, max_number_of_steps=20, **options)
  evaluated = mox.run(run_mode=mox.ModeKeys.EVAL, checkpoint_path=folder, **options)
  mean = tf.train.load_variable(folder, 'batch_normalization/moving_mean')
  print(trained.metrics['kept'] < 0.9, evaluated.metrics['kept'] == 1, np.allclose(mean, ROWS.mean(0), rtol=0.3), np.all(mean == 0))


for gpus in (1, 2):
  mox.set_flag('num_gpus', gpus)
  train_and_evaluate(FLAGS.train_url + '/%d' % gpus)
from keras import backend as K
K.set_learning_phase(0)
train_and_evaluate(FLAGS.train_url + '/told')
