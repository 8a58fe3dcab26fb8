"""Writes tests/nets/expected/networks.json: what networks_test.cc compares with.

The facts of TF-slim's 32 networks come from a folder of JSON files, one a network; those of the others from
`mox nets NAME --json`, so that a change of them is seen.
"""

import argparse
import json
import pathlib
import subprocess


def digest(text):
    value = 14695981039346656037
    for byte in text.encode():
        value = ((value ^ byte) * 1099511628211) % 2**64
    return f"{value:016x}"


def regularized_variable(operation):
    """The variable of TF-slim's regularization loss: the layer's operation names it."""
    parts = operation.split("/")
    if len(parts) > 1 and parts[0] == parts[1]:
        parts = parts[1:]
    renamed = {"bias": "biases", "depthwise_kernel": "depthwise_weights", "pointwise_kernel": "pointwise_weights"}
    if parts[-1] in renamed:
        return "/".join(parts[:-1] + [renamed[parts[-1]]])
    return "/".join(parts + ["weights"])


def facts(network, source):
    regularized = network["regularized"]
    lines = sorted(
        f"{v['name']}:{','.join(map(str, v['shape']))}:{'trainable' if v['trainable'] else 'fixed'}:"
        f"{'regularized' if v['name'] in regularized else 'free'}\n"
        for v in network["variables"])
    return {
        "source": source,
        "image_size": network["image_size"],
        "channels": network["channels"],
        "num_classes": network["num_classes"],
        "parameters": network["parameters"],
        "variables": len(lines),
        "variables_digest": digest("".join(lines)),
        "end_points": "".join(f"{name}:{','.join(map(str, shape))}\n" for name, shape in network["end_points"].items()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slim", type=pathlib.Path, required=True, help="the folder of TF-slim's JSON files")
    parser.add_argument("--describe", required=True, help="the command that prints a network as JSON, 'mox nets --json --batch_size=2'; a name is appended")
    parser.add_argument("--names", nargs="+", required=True, help="all names")
    args = parser.parse_args()
    result = {}
    for name in args.names:
        path = args.slim / f"{name}.json"
        source = "TF-slim" if path.exists() else "MoXing"
        if path.exists():
            network = json.loads(path.read_text())
            network["regularized"] = {regularized_variable(op) for op in network["regularized"]}
        else:
            output = subprocess.run(args.describe.split() + [name], check=True, capture_output=True, text=True).stdout
            network = json.loads(output)
            network["regularized"] = {v["name"] for v in network["variables"] if v["regularized"]}
            network["end_points"] = {e["name"]: e["shape"] for e in network["end_points"]}
        result[name] = facts(network, source)
    target = pathlib.Path(__file__).parent / "expected" / "networks.json"
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
