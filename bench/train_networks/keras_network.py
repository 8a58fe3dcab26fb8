"""Keras 3 on TensorFlow: training steps of a network on synthetic images. keras_network.py NETWORK DTYPE BATCH STEPS"""
import sys
import time

import keras
import numpy as np

MODELS = {"resnet_v1_50": keras.applications.ResNet50, "mobilenet_v1": keras.applications.MobileNet,
          "inception_v3": keras.applications.InceptionV3, "vgg_16": keras.applications.VGG16}
name, dtype, batch, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if dtype == "bfloat16":
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
model = MODELS[name](weights=None, classes=1000)
model.compile(keras.optimizers.SGD(0.001, momentum=0.9, weight_decay=1e-4), keras.losses.SparseCategoricalCrossentropy())
size = model.input_shape[1]
images = np.random.default_rng(1).uniform(-1, 1, (batch, size, size, 3)).astype("float32")
labels = np.arange(batch) * 37 % 1000
times = [time.time()]
model.fit(images, labels, batch_size=batch, epochs=steps, verbose=0, shuffle=False,
          callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: times.append(time.time()))])
half = [b - a for a, b in zip(times, times[1:])][steps // 2:]
print(f"images/s: {batch / sorted(half)[len(half) // 2]:.3f}")
