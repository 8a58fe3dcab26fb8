"""Keras: the LeNet of TF-slim on Fashion-MNIST, steps of 50, momentum."""
import tensorflow as tf

from data import load
from keras_model import fit

images, labels = load()
L = tf.keras.layers
model = tf.keras.Sequential([
    L.Input((28, 28, 1), dtype="uint8"), L.Rescaling(1 / 128, offset=-1),
    L.Conv2D(32, 5, padding="same", activation="relu"), L.MaxPooling2D(2),
    L.Conv2D(64, 5, padding="same", activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dense(1024, activation="relu"),
    L.Dropout(0.5), L.Dense(10)])
fit(model, images, labels, 50, 50, optimizer=tf.keras.optimizers.SGD(0.01, momentum=0.9),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
