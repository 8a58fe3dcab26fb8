"""PyTorch: training steps on synthetic images, one of several processes. torch_ddp.py NETWORK BATCH STEPS RANK WORLD PORT ddp|alone

MobileNet v1 is timm's, LeNet TF-slim's in PyTorch's words, ResNet-50 torchvision's. One thread; gradients by DistributedDataParallel over Gloo.
"""
import json
import os
import sys
import time

import timm
import torch
import torchvision
from torch import distributed, nn


class LeNet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(64 * 49, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 1000))


name, batch, steps, rank, world, port, how = sys.argv[1], *map(int, sys.argv[2:7]), sys.argv[7]
torch.set_num_threads(1)
torch.set_num_interop_threads(1)
model = {"resnet_v1_50": torchvision.models.resnet50, "mobilenet_v1": lambda: timm.create_model("mobilenetv1_100"), "lenet": LeNet}[name]()
model = model.to(memory_format=torch.channels_last).train()
if how == "ddp":
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    distributed.init_process_group("gloo", rank=rank, world_size=world)
    model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
size = 28 if name == "lenet" else 224
images = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last) * 2 - 1
labels = torch.arange(batch) * 37 % 1000
optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9, weight_decay=1e-4, fused=True)
loss_fn, stamps = nn.CrossEntropyLoss(), [time.time()]
for _ in range(steps):
    optimizer.zero_grad()
    loss = loss_fn(model(images), labels)
    loss.backward()
    optimizer.step()
    stamps.append(time.time())
print(json.dumps({"step_seconds": [b - a for a, b in zip(stamps, stamps[1:])], "torch": torch.__version__}), flush=True)
