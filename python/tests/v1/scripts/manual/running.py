"""The manual's 1.3.4 and 1.3.5: optimizers by name, learning rates, built-in data sets, early stopping in inter_mode."""
import sys

import tensorflow as tf
import moxing.tensorflow as mox
from moxing.tensorflow.optimizer import learning_rate_scheduler

mnist_dir, work = sys.argv[1:3]
batch_size = 50
dataset_meta = mox.get_dataset_meta('mnist')
model_meta = mox.get_model_meta('lenet')
split_name_train, split_name_eval = dataset_meta.splits_to_sizes.keys()
image_size = model_meta.default_image_size
labels_offset = model_meta.default_labels_offset
num_classes = dataset_meta.num_classes - labels_offset


def input_fn(run_mode, **kwargs):
  dataset = mox.get_dataset(name='mnist', split_name=split_name_train if run_mode == mox.ModeKeys.TRAIN else split_name_eval,
                            dataset_dir=mnist_dir, capacity=4000)
  image, label = dataset.get(['image', 'label'])
  data_augmentation_fn = mox.get_data_augmentation_fn(name='lenet', run_mode=mox.ModeKeys.TRAIN, output_height=image_size,
                                                      output_width=image_size)
  image = data_augmentation_fn(image)
  label -= labels_offset
  return image, label


def model_fn(inputs, run_mode, **kwargs):
  images, labels = inputs
  mox.mdoel_fn = mox.get_model_fn(name='lenet', run_mode=run_mode, num_classes=num_classes, weight_decay=0.0001)
  logits, end_points = mox.mdoel_fn(images)
  loss = tf.losses.softmax_cross_entropy(logits=logits, onehot_labels=tf.contrib.slim.one_hot_encoding(labels, num_classes))
  accuracy = tf.reduce_mean(tf.cast(tf.nn.in_top_k(logits, labels, 1), tf.float32))
  hook = mox.EarlyStoppingHook(monitor_info={'accuracy': accuracy}, monitor='accuracy', batch_size=batch_size, samples_in_train=250,
                               samples_in_eval=100, evaluate_every_n_epochs=1, min_delta=0.01, patience=3, prefix='[EarlyStopping]')
  return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'accuracy': accuracy}, hooks=[hook])


def optimizer_of(name):
  def optimizer_fn():
    lr = learning_rate_scheduler.piecewise_lr('5:0.01->0.04,10:0.04=>0.08,15:0.08,20:0.008', num_samples=600, global_batch_size=batch_size)
    if name == 'momentum':
      return mox.get_optimizer_fn('momentum', learning_rate=lr, momentum=0.9)()
    return mox.get_optimizer_fn(name or 'sgd', learning_rate=lr)()
  return optimizer_fn


for name in (None, 'sgd', 'momentum', 'adam', 'adadelta', 'adagrad', 'ftrl', 'rmsprop'):
  steps = 20 if name == 'momentum' else 2
  result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=optimizer_of(name), run_mode=mox.ModeKeys.TRAIN,
                   inter_mode=mox.ModeKeys.EVAL, log_dir='%s/%s' % (work, name), batch_size=batch_size, max_number_of_steps=steps,
                   log_every_n_steps=10, save_summary_steps=10, save_model_secs=600)
  assert result.steps == steps
try:
  mox.get_optimizer_fn('none', learning_rate=0.5)
except ValueError:
  print('all runs')
