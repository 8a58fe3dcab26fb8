"""The manual's 1.3.1 and 1.3.2: flags, modes, metadata and data sets, read in a session with a coordinator as it is written there."""
import sys

import numpy as np
import tensorflow as tf
import moxing.tensorflow as mox
from moxing.tensorflow.datasets import (ImageClassificationRawDataset, ImageClassificationRawMetadata, ImageClassificationTFRecordDataset,
                                        ImageClassificationTFRecordMetadata, MultilabelClassificationRawDataset,
                                        MultilabelClassificationRawMetadata)

raw, records, multilabel = sys.argv[1:4]

assert mox.get_flag(flag_name='worker_hosts') == '' and mox.get_flag('num_gpus') == 1
mox.set_flag('checkpoint_exclude_patterns', 'logits')
mox.set_flag('num_gpus', 1)
assert (mox.ModeKeys.TRAIN, mox.ModeKeys.EVAL, mox.ModeKeys.PREDICT, mox.ModeKeys.EXPORT) == ('TRAIN', 'EVAL', 'PREDICT', 'EXPORT')


def values(tensors):
  with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    sess.run(tf.local_variables_initializer())
    coord = tf.train.Coordinator()
    threads = tf.train.start_queue_runners(coord=coord)
    for _ in range(3):
      found = sess.run(tensors)
    coord.request_stop()
    coord.join(threads)
  return found


metadata = ImageClassificationRawMetadata(base_dir=raw, redirect_dir=None, labels_filename='labels.txt')
assert metadata.total_num_samples == 24 and metadata.num_classes == 3 == len(metadata.labels_list)
dataset = ImageClassificationRawDataset(metadata)
image, label, label_desc = values(dataset.get(['image', 'label', 'label_desc']))
assert image.ndim == 3 and metadata.labels_list[label] == label_desc.decode()


def _decode_and_resize(buf):
  img = tf.image.decode_image(buf, channels=3)
  img.set_shape([None, None, 3])
  img = tf.image.resize_images(img, size=[24, 24])
  img.set_shape([24, 24, 3])
  return img


def preprocess_fn(image_name, image_buf, label, label_desc):
  image = tf.map_fn(_decode_and_resize, image_buf, dtype=tf.float32, back_prop=False)
  return image_name, image, label, label_desc


dataset = ImageClassificationRawDataset(metadata, batch_size=4, preprocess_fn=preprocess_fn)
image, label = values(dataset.get(['image', 'label']))
assert image.shape == (4, 24, 24, 3) and label.shape == (4,)
dataset = ImageClassificationRawDataset(metadata, batch_size=4, image_size=16, label_one_hot=True, reader_class=mox.AsyncRawGenerator)
image, label = values(dataset.get(['image', 'label']))
assert image.shape == (4, 16, 16, 3) and label.sum(1).tolist() == [1] * 4

tfrecord_meta = ImageClassificationTFRecordMetadata(base_dir=records, file_patterns='*train*')
assert tfrecord_meta.num_samples == 24 and sorted(tfrecord_meta.labels_to_names) == [0, 1, 2]
tfrecord_dataset = ImageClassificationTFRecordDataset(meta=tfrecord_meta)
image, label = values(tfrecord_dataset.get(['image', 'label']))
assert image.ndim == 3 and label in (0, 1, 2)

metadata = MultilabelClassificationRawMetadata(base_dir=multilabel)
assert metadata.total_num_samples == 4 and metadata.num_classes == 2
assert metadata.names_to_labels == {name: label for label, name in metadata.labels_to_names.items()}
dataset = MultilabelClassificationRawDataset(metadata, label_sep='\n')
image, label = values(dataset.get(['image', 'label']))
assert image.ndim == 3 and label.shape == (2,)
image = values(dataset.get(['image']))

for mode in (mox.ModeKeys.TRAIN, mox.ModeKeys.EVAL):
  augmentation_fn = mox.get_data_augmentation_fn(name='resnet_v1_50', run_mode=mode, output_height=224, output_width=224)
  assert values(augmentation_fn(tf.constant(np.zeros([300, 250, 3], np.uint8)))).shape == (224, 224, 3)
keys = mox.PreprocessingKeys
assert keys.LENET == 'lenet_preprocessing' and keys.PNASNET_MOBILE == 'inception_preprocessing'
print('all data')
