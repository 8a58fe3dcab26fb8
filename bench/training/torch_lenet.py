"""PyTorch: the LeNet of TF-slim on Fashion-MNIST, steps of 50, momentum."""
import torch

from data import load
from torch_model import fit

images, labels = load()
n = torch.nn
model = n.Sequential(n.Conv2d(1, 32, 5, padding=2), n.ReLU(), n.MaxPool2d(2), n.Conv2d(32, 64, 5, padding=2), n.ReLU(), n.MaxPool2d(2),
                     n.Flatten(), n.Linear(3136, 1024), n.ReLU(), n.Dropout(0.5), n.Linear(1024, 10))
fit(model, torch.from_numpy(images.copy()).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels.astype("int64")), 50, 50,
    lambda x: (x.float() - 128) / 128, lr=0.01, momentum=0.9)
