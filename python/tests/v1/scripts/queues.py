"""Input by TensorFlow 1's queues; what the model sees is checked by its sum."""
import os
import numpy as np
import tensorflow as tf
from tensorflow.contrib import slim

import moxing.tensorflow as mox

tf.app.flags.DEFINE_string('folder', None, '')
FLAGS = tf.app.flags.FLAGS
X = np.arange(40, dtype=np.float32)[:, None] * np.ones([1, 3], np.float32)


def records():
  path = os.path.join(FLAGS.folder, 'toy.tfrecord')
  with tf.python_io.TFRecordWriter(path) as writer:
    for row in X:
      writer.write(tf.train.Example(features=tf.train.Features(feature={
          'x': tf.train.Feature(float_list=tf.train.FloatList(value=row))})).SerializeToString())
  return path


def slices(mode):
  x = tf.train.slice_input_producer([tf.constant(X)], num_epochs=1, shuffle=False)[0]
  return {'x': tf.train.batch([x], 8, allow_smaller_final_batch=True)}


def shuffled(mode):
  reader = tf.TFRecordReader()
  _, text = reader.read(tf.train.string_input_producer([path], num_epochs=2))
  x = tf.parse_single_example(text, {'x': tf.FixedLenFeature([3], tf.float32)})['x']
  return [tf.train.shuffle_batch([x], batch_size=8, num_threads=2, capacity=100, min_after_dequeue=20)]


def provider(mode):
  decoder = slim.tfexample_decoder.TFExampleDecoder({'x': tf.FixedLenFeature([3], tf.float32)},
                                                    {'x': slim.tfexample_decoder.Tensor('x')})
  dataset = slim.dataset.Dataset(path, tf.TFRecordReader, decoder, num_samples=40, items_to_descriptions={'x': 'three'})
  x, = slim.dataset_data_provider.DatasetDataProvider(dataset, num_readers=2, shuffle=False, num_epochs=1).get(['x'])
  return x * 1.0


def model_fn(inputs, mode):
  x = inputs['x'] if isinstance(inputs, dict) else inputs[0]
  w = tf.get_variable('w', [3, 1], initializer=tf.zeros_initializer())
  loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1))
  return mox.ModelSpec(loss=loss, output_info={'x': x})


def train_and_predict(input_fn):
  seen = []
  options = dict(input_fn=input_fn, model_fn=model_fn, batch_size=8, auto_batch=input_fn is provider)
  log_dir = os.path.join(FLAGS.folder, input_fn.__name__)
  mox.run(optimizer_fn=mox.get_optimizer_fn('sgd', 0.001), run_mode=mox.ModeKeys.TRAIN, log_dir=log_dir, max_number_of_steps=4,
          **options)
  mox.run(output_fn=seen.extend, output_every_n_steps=1, run_mode=mox.ModeKeys.PREDICT, checkpoint_path=log_dir, **options)
  rows = np.concatenate([output['x'] for output in seen])
  print(input_fn.__name__, len(rows), 'rows, sum', rows.sum())


def main(_):
  global path
  path = records()
  for input_fn in (slices, shuffled, provider):
    train_and_predict(input_fn)


if __name__ == '__main__':
  tf.app.run()
