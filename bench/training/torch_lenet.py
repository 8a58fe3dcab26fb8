"""PyTorch: the LeNet of TF-slim on Fashion-MNIST, steps of 50, momentum."""
import sys
import time

import torch

from data import load, report

images, labels = load()
steps = int(sys.argv[2])
data = torch.utils.data.TensorDataset(torch.from_numpy(images.copy()).permute(0, 3, 1, 2), torch.from_numpy(labels.astype("int64")))
loader = torch.utils.data.DataLoader(data, 50, shuffle=True, num_workers=1)
n = torch.nn
model = n.Sequential(n.Conv2d(1, 32, 5, padding=2), n.ReLU(), n.MaxPool2d(2), n.Conv2d(32, 64, 5, padding=2), n.ReLU(), n.MaxPool2d(2),
                     n.Flatten(), n.Linear(3136, 1024), n.ReLU(), n.Dropout(0.5), n.Linear(1024, 10))
optimizer, loss_fn, times = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9), n.CrossEntropyLoss(), []
while len(times) < steps:
    for x, y in loader:
        optimizer.zero_grad()
        loss_fn(model((x.float() - 128) / 128), y).backward()
        optimizer.step()
        times.append(time.time())
        if len(times) == steps:
            break
report(times)
