"""Keras 3 on TensorFlow: training steps of a network on synthetic images. keras_network.py NETWORK DTYPE BATCH STEPS steps_per_execution=N"""
import pathlib
import sys
import time

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

MODELS = {"resnet_v1_keras_50": keras.applications.ResNet50, "mobilenet_v1": keras.applications.MobileNet,
          "mobilenet_v2": keras.applications.MobileNetV2, "inception_v3": keras.applications.InceptionV3, "vgg_16": keras.applications.VGG16,
          "nasnet_mobile": keras.applications.NASNetMobile}
name, dtype, batch, steps, each = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5].split("=")[1])
if dtype == "bfloat16":
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
model = MODELS[name](weights=None, classes=1000)
model.compile(keras.optimizers.SGD(0.001, momentum=0.9, weight_decay=1e-4), keras.losses.SparseCategoricalCrossentropy(), steps_per_execution=each)
size = model.input_shape[1]
images = np.random.default_rng(1).uniform(-1, 1, (batch, size, size, 3)).astype("float32")
labels = np.arange(batch) * 37 % 1000
stamps = [time.time()]
model.fit(tf.data.Dataset.from_tensors((images, labels)).repeat(), steps_per_epoch=steps, epochs=1, verbose=0,
          callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: stamps.append(time.time()))])
results.report(step_seconds=results.step_seconds(stamps, each), parameters_trained=sum(int(np.prod(w.shape)) for w in model.trainable_weights),
               versions={"tensorflow": tf.__version__, "keras": keras.__version__})
