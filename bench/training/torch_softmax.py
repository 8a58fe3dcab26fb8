"""PyTorch: softmax regression, steps of 100, images as floats in memory."""
import torch

from data import load
from torch_model import fit

images, labels = load()
fit(torch.nn.Linear(784, 10), torch.from_numpy(images.reshape(-1, 784).astype("float32") / 255), torch.from_numpy(labels.astype("int64")),
    100, 100, lambda x: x, lr=0.5)
