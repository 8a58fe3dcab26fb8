"""PyTorch: training steps of a network on synthetic images. torch_network.py NETWORK DTYPE BATCH STEPS eager|compile

bench/torch_models.py says which network of torchvision or timm it is.
"""
import pathlib
import sys
import time

import timm
import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results
import torch_models

name, dtype, batch, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
model, size = torch_models.make(name)
model = model.to(memory_format=torch.channels_last).train()
step_model = torch.compile(model) if sys.argv[5] == "compile" else model
images = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last) * 2 - 1
labels = torch.arange(batch) * 37 % 1000
optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9, weight_decay=1e-4, fused=True)
loss_fn, stamps = torch.nn.CrossEntropyLoss(), [time.time()]
for _ in range(steps):
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        loss = loss_fn(step_model(images), labels)
    loss.backward()
    optimizer.step()
    stamps.append(time.time())
results.report(step_seconds=results.step_seconds(stamps), parameters_trained=sum(p.numel() for p in model.parameters()),
               versions={"python": sys.version.split()[0], "torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__})
