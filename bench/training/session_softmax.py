"""A plain Session on the graph of the manual's first script, steps of 100."""
import tensorflow.compat.v1 as tf

from session_model import batches, train

images, labels, fill = batches(100)
x, y_ = tf.reshape(tf.cast(images, tf.float32) / 255, [-1, 784]), tf.one_hot(labels, 10)
w = tf.get_variable("W", initializer=tf.zeros([784, 10]), use_resource=True)
b = tf.get_variable("b", initializer=tf.zeros([10]), use_resource=True)
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=tf.matmul(x, w) + b))
train(fill, loss, tf.train.GradientDescentOptimizer(0.5), 100)
