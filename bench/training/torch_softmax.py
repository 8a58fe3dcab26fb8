"""PyTorch: softmax regression, steps of 100, batches gathered from memory."""
import sys
import time

import torch

from data import load, report

images, labels = load()
steps = int(sys.argv[2])
x = torch.from_numpy(images.reshape(-1, 784).astype("float32") / 255)
y = torch.from_numpy(labels.astype("int64"))
model = torch.nn.Linear(784, 10)
optimizer, loss_fn, times = torch.optim.SGD(model.parameters(), 0.5), torch.nn.CrossEntropyLoss(), []
while len(times) < steps:
    for rows in torch.randperm(60000).split(100):
        optimizer.zero_grad()
        loss_fn(model(x[rows]), y[rows]).backward()
        optimizer.step()
        times.append(time.time())
        if len(times) == steps:
            break
report(times)
