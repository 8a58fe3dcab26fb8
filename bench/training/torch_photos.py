"""PyTorch: MobileNet v1 of a quarter of the width at 128x128 on a folder of photographs, steps of 32, momentum, by a DataLoader.

The augmentation is that of MoXing's mobilenet (bench/data/peers.py, inception) in torchvision's v2 transforms, on bytes. Settings:
[compile,][channels_last,]workers=N.
"""
import os
import pathlib
import time

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from data import DATA, SETTING, STEPS, report

BATCH, SIZE, GROUP = 32, 128, 10


class Photos(Dataset):
    augment = v2.Compose([v2.RandomResizedCrop(SIZE, scale=(0.05, 1.0), ratio=(0.75, 1.33), antialias=False), v2.RandomHorizontalFlip(),
                          v2.ColorJitter(brightness=32 / 255, saturation=0.5)])

    def __init__(self, folder):
        classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        self.files = [(str(path), label) for label, name in enumerate(classes) for path in sorted(pathlib.Path(folder, name).iterdir())]
        self.num_classes = len(classes)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        path, label = self.files[i]
        data = torch.frombuffer(bytearray(pathlib.Path(path).read_bytes()), dtype=torch.uint8)
        return self.augment(decode_jpeg(data, mode=ImageReadMode.RGB)), label


def mobilenet(num_classes, width=0.25):
    """MobileNet v1, the same layers as ours: a convolution, batch normalization and ReLU 6 each."""
    def layer(inputs, outputs, size, stride=1, groups=1):
        return [nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True)]

    depth = int(32 * width)
    layers = layer(3, depth, 3, 2)
    for stride, outputs in ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024)):
        layers += layer(depth, depth, 3, stride, groups=depth) + layer(depth, int(outputs * width), 1)
        depth = int(outputs * width)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(depth, num_classes))


def main():
    words = SETTING.split(",")
    photos, layout = Photos(DATA), torch.channels_last if "channels_last" in words else torch.contiguous_format
    loader = DataLoader(photos, batch_size=BATCH, sampler=RandomSampler(photos, num_samples=STEPS * BATCH), num_workers=int(words[-1].removeprefix("workers=")))
    model = mobilenet(photos.num_classes).to(memory_format=layout)
    optimizer, loss_fn, stamps = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True), torch.nn.CrossEntropyLoss(), []

    def loss_of(images, labels):
        return loss_fn(model(images.float() / 127.5 - 1), labels)

    if "compile" in words:
        loss_of = torch.compile(loss_of)
    for images, labels in loader:
        optimizer.zero_grad()
        loss_of(images.contiguous(memory_format=layout), labels).backward()
        optimizer.step()
        stamps.append(time.time())
    report(stamps, GROUP, torch=torch.__version__, torchvision=torchvision.__version__,
           parameters=str(sum(p.numel() for p in model.parameters())))


if __name__ == "__main__":
    main()
