# encoding: utf-8
"""Names of TensorFlow 1 in the ways that scripts ask for them; fails at the first that does something else."""
from __future__ import absolute_import
from __future__ import print_function

import importlib
import itertools
import sys

import numpy as np
import tensorflow as tf
import tensorflow.contrib.slim as slim
import tensorflow.contrib.slim.python.slim.nets.vgg as vgg
from keras import backend as K
from keras.engine.topology import InputSpec, Layer
from keras.layers.core import Dense as KerasDense
from keras.optimizers import adam
from keras.utils import np_utils
from tensorflow import flags
from tensorflow.contrib import framework as framework_lib
from tensorflow.contrib import slim as contrib_slim
from tensorflow.contrib.framework.python.ops import arg_scope
from tensorflow.contrib.layers.python.layers import utils
from tensorflow.contrib.rnn.python.ops import core_rnn_cell
from tensorflow.contrib.slim.nets import resnet_v1
from tensorflow.contrib.tensorboard.plugins import projector
from tensorflow.core.framework import graph_pb2
from tensorflow.examples.tutorials.mnist import input_data
from tensorflow.python import pywrap_tensorflow
from tensorflow.python.client import device_lib
from tensorflow.python.framework import graph_util
from tensorflow.python.keras.layers import Conv2D, Dropout
from tensorflow.python.layers import utils as layers_utils
from tensorflow.python.layers.layers import Dense, MaxPooling2D
from tensorflow.python.ops import control_flow_ops
from tensorflow.python.platform import gfile
from tensorflow.python.saved_model import tag_constants
from tensorflow.python.util import nest

try:
  import cPickle as pickle
except ImportError:
  import pickle
import Queue
import ConfigParser
import urlparse


def versions():
  import moxing
  import moxing.tensorflow as mox
  assert moxing.__version__ == mox.__version__
  assert tf.__version__.split('.')[0] == '1' and tf.VERSION == tf.__version__
  assert not tf.executing_eagerly()
  assert tf.compat.v1 is tf and flags is tf.flags and tf.app.flags is tf.flags
  assert importlib.import_module('tensorflow') is tf and importlib.import_module('tensorflow.contrib.slim') is slim
  size = tf.placeholder(tf.float32, [None, 784]).shape[1]
  assert size.value == 784 and isinstance(size, tf.Dimension)
  assert isinstance(tf.Variable(1.0), type(tf.get_variable('x', [])))
  assert hasattr(tf.get_variable('y', []), 'handle'), 'a reference variable'
  a = tf.constant(1)
  assert len({a, tf.identity(a)}) == 2  # tensors are keys, by identity


def contrib():
  assert slim is contrib_slim is tf.contrib.slim
  images = tf.zeros([2, 32, 32, 3])
  with slim.arg_scope([slim.conv2d], weights_regularizer=slim.l2_regularizer(1e-3), normalizer_fn=slim.batch_norm,
                      normalizer_params={'is_training': True}):
    net = slim.conv2d(images, 4, [3, 3], scope='conv1')
  net = slim.flatten(slim.max_pool2d(net, [2, 2]))
  net = slim.dropout(slim.fully_connected(net, 5), 0.5)
  assert net.shape.as_list() == [2, 5]
  assert slim.one_hot_encoding([1, 2], 5).shape.as_list() == [2, 5]
  with slim.arg_scope(resnet_v1.resnet_arg_scope()):
    logits, end_points = resnet_v1.resnet_v1_50(images, 7, is_training=False)
  assert logits.shape.as_list()[-1] == 7 and callable(vgg.vgg_16)
  slim.variable('v', [2], initializer=tf.zeros_initializer())
  slim.model_variable('m', [2])
  assert len(slim.get_model_variables('m')) == 1
  assert tf.losses.get_regularization_losses()
  for name in 'learning evaluation nets tfexample_decoder dataset_data_provider losses metrics queues'.split():
    assert getattr(slim, name)
  x = tf.contrib.layers.fully_connected(tf.zeros([2, 3]), 4, weights_initializer=tf.contrib.layers.xavier_initializer(),
                                        weights_regularizer=tf.contrib.layers.l2_regularizer(0.1))
  step = tf.contrib.framework.get_or_create_global_step()
  assert tf.contrib.layers.optimize_loss(tf.reduce_sum(x), step, 0.1, 'SGD') is not None
  assert framework_lib.arg_scope is slim.arg_scope is arg_scope.arg_scope and callable(framework_lib.nest.flatten)
  assert utils.smart_cond(True, lambda: 3, lambda: 4) == 3
  proto = tf.contrib.util.make_tensor_proto([1, 2], shape=[2])
  assert list(tf.contrib.util.make_ndarray(proto)) == [1, 2]
  data = tf.data.Dataset.range(10).apply(tf.contrib.data.map_and_batch(lambda i: i * 2, 5)).apply(
      tf.contrib.data.shuffle_and_repeat(10))
  assert data.apply(tf.contrib.data.ignore_errors()).output_types == tf.int64
  hparams = tf.contrib.training.HParams(rate=0.1, sizes=[1, 2], name='a', fast=True)
  hparams.parse('rate=0.5,sizes=[3,4],name=b,fast=false')
  assert hparams.values() == {'rate': 0.5, 'sizes': [3, 4], 'name': 'b', 'fast': False}
  assert tf.contrib.signal.stft is tf.signal.stft and tf.contrib.distributions.Normal is tf.distributions.Normal
  assert tf.contrib.stateless.stateless_random_uniform([2], [1, 2]).shape.as_list() == [2] and callable(tf.contrib.autograph.to_code)
  assert projector.ProjectorConfig().embeddings.add() is not None and callable(projector.visualize_embeddings)
  assert core_rnn_cell.BasicLSTMCell is tf.contrib.rnn.BasicLSTMCell and layers_utils.smart_cond(True, lambda: 3, lambda: 4) == 3
  assert tf.contrib.rnn.BasicLSTMCell is tf.nn.rnn_cell.BasicLSTMCell
  assert tf.contrib.learn.ModeKeys.TRAIN == tf.estimator.ModeKeys.TRAIN == 'train' and tf.estimator.ModeKeys.PREDICT == 'infer'


def layers():
  x = tf.zeros([2, 8, 8, 3])
  x = tf.layers.batch_normalization(tf.layers.conv2d(x, 4, 3, activation=tf.nn.relu), training=True)
  x = tf.layers.dense(tf.layers.flatten(MaxPooling2D(2, 2)(x)), 5)
  assert Dense(3)(x).shape.as_list() == [2, 3]
  assert Dropout(0.5)(KerasDense(3)(x), training=True).shape.as_list() == [2, 3]
  assert Conv2D(4, kernel_size=(3, 3), input_shape=(8, 8, 3))(tf.zeros([2, 8, 8, 3])).shape.as_list() == [2, 6, 6, 4]
  assert tf.keras.layers.Dense is KerasDense and issubclass(KerasDense, Layer) and InputSpec and adam(0.1)
  assert np_utils.to_categorical([1], 3).tolist() == [[0, 1, 0]] and K.image_data_format()


def the_rest():
  assert callable(graph_util.convert_variables_to_constants) and callable(tf.graph_util.convert_variables_to_constants)
  assert callable(pywrap_tensorflow.NewCheckpointReader) and callable(device_lib.list_local_devices)
  assert tag_constants.SERVING == 'serve' and gfile.Exists('/') and tf.gfile.IsDirectory('/') and graph_pb2.GraphDef()
  assert control_flow_ops.cond(tf.constant(True), lambda: 1, lambda: 2) is not None
  text = tf.placeholder(tf.string)
  assert tf.parse_example(text, {'x': tf.FixedLenFeature([784], tf.float32)})['x'].shape.as_list() == [None, 784]
  assert callable(input_data.read_data_sets) and tf.to_float(1).dtype == tf.float32
  assert nest.is_sequence([1]) and tf.array_ops.transpose(tf.zeros([2, 3])).shape.as_list() == [3, 2]
  names = 'Session ConfigProto GPUOptions placeholder py_func truncated_normal logging.info python_io.TFRecordWriter'
  names += ' train.MonitoredTrainingSession train.Supervisor saved_model.builder.SavedModelBuilder nn.static_rnn name_scope'
  for name in names.split():
    value = tf
    for part in name.split('.'):
      value = getattr(value, part)


def python2():
  assert sys.maxint == sys.maxsize and list(xrange(2)) == [0, 1] and unicode('é') == u'é' and callable(raw_input)
  assert isinstance('a', basestring) and long(3) == 3 and reduce(lambda a, b: a + b, [1, 2]) == 3 and unichr(97) == 'a'
  d = {'a': 1}
  assert list(d.iteritems()) == [('a', 1)] and d.has_key('a') and list(d.itervalues()) == [1]
  assert list(itertools.izip([1], [2])) == [(1, 2)] and np.float is float and np.zeros(1, np.int).dtype == np.int64
  assert Queue.Queue and ConfigParser.ConfigParser and urlparse.urlparse and pickle.dumps


for function in (versions, contrib, layers, the_rest, python2):
  with tf.Graph().as_default():
    function()
print('all names')
