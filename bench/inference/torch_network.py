"""PyTorch: inference of a network on synthetic images. torch_network.py NETWORK DTYPE BATCH SECONDS SETTING

SETTING: eager, channels_last, or compile (channels_last, with Inductor's freezing: weights become constants, batch norm is
folded). `torch_network.py NETWORK onnx FILE` writes what onnx_network.py runs. bench/torch_models.py says which network it is.
"""
import os
import pathlib
import sys

import timm
import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results
import torch_models
from torch._inductor import config as inductor

torch.manual_seed(1)
torch.set_num_threads(len(os.sched_getaffinity(0)))
model, size = torch_models.make(sys.argv[1])
model.eval()


def export(path):
    images = torch.rand(2, 3, size, size)
    torch.onnx.export(model, (images,), path, input_names=["images"], output_names=["logits"], dynamo=False, opset_version=17,
                      dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}})


def measure(dtype, batch, seconds, setting):
    images, step = torch.rand(batch, 3, size, size) * 2 - 1, model
    if setting != "eager":
        step, images = step.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    if setting == "compile":
        inductor.freezing = True
        step = torch.compile(step)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        times = results.repeated(lambda: step(images), seconds)
    results.report(step_seconds=times, versions={"python": sys.version.split()[0], "torch": torch.__version__,
                                                 "torchvision": torchvision.__version__, "timm": timm.__version__})


if sys.argv[2] == "onnx":
    export(sys.argv[3])
else:
    measure(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
