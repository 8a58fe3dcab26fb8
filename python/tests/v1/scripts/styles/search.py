"""Values of hyperparameters searched, then trained with: queues, Keras layers and a loss scale of tf.contrib inside."""
import sys

import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox
from tensorflow.python.keras.layers import BatchNormalization, Dense

local = sys.argv[1]


def optimizer_fn(**kwargs):
  param_spec = kwargs['param_spec']
  opt = mox.get_optimizer_fn(name='momentum', learning_rate=param_spec.learning_rate, momentum=param_spec.momentum)()
  return tf.contrib.mixed_precision.LossScaleOptimizer(opt, tf.contrib.mixed_precision.FixedLossScaleManager(8.))


def main(*args, **kwargs):
  def input_fn(run_mode, **kwargs):
    x = np.random.RandomState(0).rand(64, 8).astype(np.float32)
    queue = tf.train.slice_input_producer([tf.constant(x), tf.constant((x.sum(1) > 4).astype(np.int64))])
    return tf.train.batch(queue, 16)

  def model_fn(inputs, run_mode, **kwargs):
    x, y_ = inputs
    y = Dense(2)(BatchNormalization()(x))
    loss = tf.losses.sparse_softmax_cross_entropy(y_, y) + kwargs['param_spec'].weight_decay * tf.reduce_sum(tf.square(y))
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(y, 1), y_), tf.float32))
    return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'accuracy': accuracy})

  param_spec = mox.auto.search(
      input_fn=input_fn, batch_size=16, model_fn=model_fn, optimizer_fn=optimizer_fn, auto_batch=False, select_by_eval=False,
      total_steps=4, evaluation_total_steps=2, search_learning_rate=False,
      param_spec=mox.auto.ParamSpec(weight_decay=1e-4, momentum=0.9, learning_rate=0.1),
      param_list_spec=mox.auto.ParamSpec(weight_decay=[1e-2, 1e-4]))
  tf.logging.info('Best lr %f, weight_decay %f, momentum %f', param_spec.learning_rate, param_spec.weight_decay, param_spec.momentum)
  assert param_spec.learning_rate == 0.1 and param_spec.weight_decay in (1e-2, 1e-4)
  result = mox.auto.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN, batch_size=16,
                        auto_batch=False, log_dir=local + '/run', max_number_of_steps=6, log_every_n_steps=2, param_spec=param_spec)
  assert result.steps == 6 and mox.get_flag('loss_scale') == 8
  assert np.abs(tf.train.load_variable(local + '/run', 'batch_normalization/moving_mean')).max() > 0
  print('search ok')


if __name__ == '__main__':
  tf.app.run(main=main)
