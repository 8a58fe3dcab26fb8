"""Keras: fits a model to arrays in memory (faster than a tf.data set of samples), times its steps. Setting: steps_per_execution=N."""
import time

import tensorflow as tf

from data import SETTING, STEPS, report


def fit(model, x, y, batch, group, **compile_arguments):
    each = int(SETTING.split("=")[1])
    model.compile(steps_per_execution=each, **compile_arguments)
    stamps = []

    class Clock(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            stamps.append(time.time())
            self.model.stop_training = len(stamps) * each >= STEPS

    model.fit(x, y, batch_size=batch, epochs=1 + STEPS * batch // len(x), verbose=0, callbacks=[Clock()])
    report(stamps, group, each, tensorflow=tf.__version__, keras=tf.keras.__version__)
