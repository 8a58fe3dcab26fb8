"""tf.contrib.mixed_precision around an optimizer of mox.run."""
import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox

tf.flags.DEFINE_string('manager', 'fixed', '')
flags = tf.flags.FLAGS


def input_fn(mode):
  return tf.data.Dataset.from_tensor_slices(np.ones([8, 2], np.float32)).repeat().make_one_shot_iterator().get_next()


def model_fn(inputs, mode):
  w = tf.get_variable('w', [2, 1], initializer=tf.zeros_initializer())
  loss = tf.reduce_mean(tf.square(tf.matmul(inputs[0], w) - 1))
  return mox.ModelSpec(loss=loss, log_info={'loss': loss})


def optimizer_fn():
  if flags.manager == 'fixed':
    manager = tf.contrib.mixed_precision.FixedLossScaleManager(1024)
  else:
    manager = tf.contrib.mixed_precision.ExponentialUpdateLossScaleManager(2.0 ** 15, 1000)
  return tf.contrib.mixed_precision.LossScaleOptimizer(tf.train.GradientDescentOptimizer(0.1), manager)


result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN, batch_size=8,
                 max_number_of_steps=1, log_every_n_steps=1)
result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_fn, run_mode=mox.ModeKeys.TRAIN, batch_size=8,
                 max_number_of_steps=2, log_every_n_steps=1)
print('loss', result.metrics['loss'], 'flag', mox.get_flag('loss_scale'))
