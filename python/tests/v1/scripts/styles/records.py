"""Conversion of measurements to TFRecord files, which are then read in sessions without mox.run: a Supervisor's, a monitored one."""
from __future__ import print_function

import json
import os
import sys

import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox

slim = tf.contrib.slim
url = sys.argv[2]
SIZE = 6


def convert(data_path, output_file):
  rows = json.loads(mox.file.read(data_path, binary=True))
  with mox.file.File(os.path.join(url, 'labels.txt'), 'w') as f:
    f.write('sea' + '\n' + 'ice')
  with tf.python_io.TFRecordWriter(output_file) as tfrecord_writer:
    for row in rows:
      example = tf.train.Example(features=tf.train.Features(feature={
        'id': tf.train.Feature(bytes_list=tf.train.BytesList(value=[unicode.encode(row['id'])])),
        'band': tf.train.Feature(float_list=tf.train.FloatList(value=row['band'])),
        'label': tf.train.Feature(int64_list=tf.train.Int64List(value=[row['label']])),
      }))
      tfrecord_writer.write(example.SerializeToString())
  return len(rows)


def dataset_of(num_samples):
  keys_to_features = {
    'band': tf.FixedLenFeature((SIZE * SIZE,), tf.float32, default_value=None),
    'label': tf.FixedLenFeature([1], tf.int64, default_value=None),
    'id': tf.FixedLenFeature([1], tf.string, default_value=None),
  }
  items_to_handlers = {
    'band': slim.tfexample_decoder.Tensor('band', shape=[SIZE, SIZE]),
    'label': slim.tfexample_decoder.Tensor('label', shape=[]),
    'id': slim.tfexample_decoder.Tensor('id', shape=[]),
  }
  return mox.get_tfrecord(dataset_dir=url, file_pattern='rows-*.tfrecord', num_samples=num_samples, keys_to_features=keys_to_features,
                          items_to_handlers=items_to_handlers, shuffle=False, num_epochs=1)


def look_at(count):
  band, label = dataset_of(count).get(['band', 'label'])
  image = tf.stack([band, band / 2, band * 2], axis=2)
  image = (image - tf.reduce_min(image)) / (tf.reduce_max(image) - tf.reduce_min(image))
  sv = tf.train.Supervisor()
  with sv.managed_session() as sess:
    for i in range(count // 2):  # each fetch is of a sample of its own
      assert sess.run(image).shape == (SIZE, SIZE, 3)
      assert sess.run(label) == 1


def check_ids(count):
  identity = dataset_of(count).get(['id'])
  seen = set()
  with tf.train.MonitoredTrainingSession() as sess:
    for i in range(count):
      seen.add(sess.run(identity)[0] if isinstance(identity, list) else sess.run(identity))
  assert seen == {b'row%d' % i for i in range(count)}, seen


def main():
  rng = np.random.RandomState(0)
  mox.file.write(os.path.join(url, 'train.json'), json.dumps(
      [{'id': 'row%d' % i, 'band': rng.rand(SIZE * SIZE).tolist(), 'label': i % 2} for i in range(20)]))
  count = convert(os.path.join(url, 'train.json'), os.path.join(url, 'rows-20.tfrecord'))
  look_at(count)
  tf.reset_default_graph()
  check_ids(count)
  print('records ok')


if __name__ == '__main__':
  main()
