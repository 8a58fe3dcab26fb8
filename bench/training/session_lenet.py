"""A plain Session on the graph of MoXing's LeNet, steps of 50, momentum."""
import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox
from session_model import batches, train

images, labels, fill = batches(50)
network = mox.get_model_fn("lenet", run_mode=mox.ModeKeys.TRAIN, num_classes=10, preprocess_fn=None)
logits, _ = network((tf.cast(images, tf.float32) - 128) / 128)
train(fill, tf.losses.sparse_softmax_cross_entropy(labels, logits), tf.train.MomentumOptimizer(0.01, 0.9), 50)
