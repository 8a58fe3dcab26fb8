"""Keras: fits a compiled model, times its steps. Setting: steps_per_execution=N."""
import time

import tensorflow as tf

from data import SETTING, STEPS, report


def fit(model, ds, group, **compile_arguments):
    each = int(SETTING.split("=")[1])
    model.compile(steps_per_execution=each, **compile_arguments)
    stamps = []
    model.fit(ds, steps_per_epoch=STEPS, epochs=1, verbose=0,
              callbacks=[tf.keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: stamps.append(time.time()))])
    report(stamps, group, each, tensorflow=tf.__version__, keras=tf.keras.__version__)
