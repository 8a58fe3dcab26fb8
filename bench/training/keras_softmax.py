"""Keras: softmax regression, steps of 100, images as floats in memory."""
import tensorflow as tf

from data import load
from keras_model import fit

images, labels = load()
x = images.reshape(-1, 784).astype("float32") / 255
y = tf.keras.utils.to_categorical(labels, 10)
ds = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(60000).repeat().batch(100).prefetch(2)
model = tf.keras.Sequential([tf.keras.layers.Input((784,)), tf.keras.layers.Dense(10, kernel_initializer="zeros")])
fit(model, ds, 100, optimizer=tf.keras.optimizers.SGD(0.5), loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True))
