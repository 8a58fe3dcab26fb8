"""PyTorch: trains a model on batches gathered from memory by indexing (no DataLoader: the fastest way that it has).

Settings: eager or compile, with `,threads=N` on so many threads.
"""
import time

import torch

from data import SETTING, STEPS, report


def fit(model, x, y, batch, group, prepare, **sgd):
    mode, *threads = SETTING.split(",")
    if threads:
        torch.set_num_threads(int(threads[0].split("=")[1]))
    optimizer, loss_fn, stamps = torch.optim.SGD(model.parameters(), fused=True, **sgd), torch.nn.CrossEntropyLoss(), []

    def loss_of(images, labels):
        return loss_fn(model(prepare(images)), labels)

    if mode == "compile":
        loss_of = torch.compile(loss_of)
    while len(stamps) < STEPS:
        for rows in torch.randperm(len(x) // batch * batch).split(batch):
            optimizer.zero_grad()
            loss_of(x[rows], y[rows]).backward()
            optimizer.step()
            stamps.append(time.time())
            if len(stamps) == STEPS:
                break
    report(stamps, group, torch=torch.__version__)
