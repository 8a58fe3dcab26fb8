"""A plain tf.compat.v1 Session on the graph of MoXing's network: TensorFlow's gradients, optimizer and session.

session_network.py NETWORK DTYPE BATCH STEPS inter_op=N (0: TensorFlow's default)
"""
import pathlib
import sys
import time

import numpy as np
import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

tf.disable_eager_execution()
name, dtype, batch, steps = sys.argv[1], tf.as_dtype(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
size = mox.get_model_meta(name).default_image_size
images = tf.constant(np.random.default_rng(1).uniform(-1, 1, (batch, size, size, 3)).astype("float32"))
labels = tf.constant(np.arange(batch) * 37 % 1000)
network = mox.get_model_fn(name, run_mode=mox.ModeKeys.TRAIN, num_classes=1000, weight_decay=1e-4, batch_norm_fused=True)
with mox.var_scope(force_dtype=tf.float32):  # as the others in bfloat16: the variables stay in single precision
    logits, _ = network(tf.cast(images, dtype))
losses = [tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=tf.cast(logits, tf.float32)))]
loss = tf.add_n(losses + [tf.cast(term, tf.float32) for term in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)])
with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    train_op = tf.train.MomentumOptimizer(0.001, 0.9).minimize(loss, global_step=tf.train.get_or_create_global_step())
config = tf.ConfigProto(inter_op_parallelism_threads=int(sys.argv[5].split("=")[1]))
with tf.Session(config=config) as session:
    session.run(tf.global_variables_initializer())
    step, stamps = session.make_callable([loss, train_op]), [time.time()]
    for _ in range(steps):
        step()
        stamps.append(time.time())
results.report(step_seconds=results.step_seconds(stamps), parameters_trained=sum(int(np.prod(v.shape)) for v in tf.trainable_variables()),
               versions={"tensorflow": tf.__version__})
