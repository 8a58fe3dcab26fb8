"""Keras: the LeNet of TF-slim on Fashion-MNIST, steps of 50, momentum."""
import tensorflow as tf

from data import load
from keras_model import fit

images, labels = load()
ds = (tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(60000).repeat().batch(50)
      .map(lambda x, y: ((tf.cast(x, tf.float32) - 128) / 128, y), num_parallel_calls=2).prefetch(2))
L = tf.keras.layers
model = tf.keras.Sequential([
    L.Input((28, 28, 1)), L.Conv2D(32, 5, padding="same", activation="relu"), L.MaxPooling2D(2),
    L.Conv2D(64, 5, padding="same", activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dense(1024, activation="relu"),
    L.Dropout(0.5), L.Dense(10)])
fit(model, ds, 50, optimizer=tf.keras.optimizers.SGD(0.01, momentum=0.9),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
