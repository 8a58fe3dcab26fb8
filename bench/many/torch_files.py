"""PyTorch: torch_files.py FOLDER WORKERS. Lists class folders, and takes the first batch of 256."""
import pathlib
import sys
import time

import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results


def resident_mib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / (1 << 20)


before, begin = resident_mib(), time.monotonic()
data = torchvision.datasets.ImageFolder(sys.argv[1], torchvision.transforms.PILToTensor())
listed = round(time.monotonic() - begin, 3)
mib, begin = resident_mib() - before, time.monotonic()
images, labels = next(iter(torch.utils.data.DataLoader(data, 256, shuffle=True, num_workers=int(sys.argv[2]))))
results.report(list_seconds=listed, listed_mib=round(mib, 1), first_batch_seconds=round(time.monotonic() - begin, 3),
               versions={"python": sys.version.split()[0], "torch": torch.__version__, "torchvision": torchvision.__version__})
