"""PyTorch: training steps of a network on synthetic images. torch_network.py NETWORK DTYPE BATCH STEPS [compile]"""
import sys
import time

import torch
import torchvision

name, dtype, batch, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
models = torchvision.models
# MobileNet v1 is not in torchvision: its nearest relative there stands in, and the table says so.
make = {"resnet_v1_50": models.resnet50, "mobilenet_v1": models.mobilenet_v2, "vgg_16": models.vgg16,
        "inception_v3": lambda: models.inception_v3(aux_logits=False, init_weights=False)}[name]
model = make().to(memory_format=torch.channels_last).train()
step_model = torch.compile(model) if "compile" in sys.argv else model
size = 299 if name == "inception_v3" else 224
images = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last) * 2 - 1
labels = torch.arange(batch) * 37 % 1000
optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9, weight_decay=1e-4)
loss_fn, times = torch.nn.CrossEntropyLoss(), [time.time()]
for _ in range(steps):
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        loss = loss_fn(step_model(images), labels)
    loss.backward()
    optimizer.step()
    times.append(time.time())
half = [b - a for a, b in zip(times, times[1:])][steps // 2:]
print(f"images/s: {batch / sorted(half)[len(half) // 2]:.3f}")
