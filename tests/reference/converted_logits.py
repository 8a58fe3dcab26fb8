"""Writes python/tests/converted_logits.json: torchvision's logits of the weights and the picture of python/tests/test_convert_weights.py.

    python tests/reference/converted_logits.py          # a Python that has torch and torchvision
"""
import ast
import json
import pathlib
import zlib

import numpy as np
import torch
import torchvision

TESTS = pathlib.Path(__file__).resolve().parents[2] / "python/tests"


def functions(*names):
    """The test's own, without what the test imports."""
    tree = ast.parse((TESTS / "test_convert_weights.py").read_text())
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    found = {"np": np, "zlib": zlib}
    exec(compile(ast.Module(wanted, []), "test_convert_weights.py", "exec"), found)
    return [found[name] for name in names]


def main():
    picture, values, resnet_18 = functions("picture", "values", "resnet_18")
    model = torchvision.models.resnet18(weights=None, num_classes=10)
    state = {name: torch.from_numpy(values(name, shape)) for name, shape in resnet_18().items()}
    print(model.load_state_dict(state, strict=False))
    model.eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(picture(96).transpose(0, 3, 1, 2).copy()))[0].numpy()
    (TESTS / "converted_logits.json").write_text(json.dumps({"torchvision:resnet18": [round(float(logit), 5) for logit in logits]}) + "\n")


if __name__ == "__main__":
    main()
