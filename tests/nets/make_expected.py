#!/usr/bin/env python3
"""Adds networks to tests/nets/expected/networks.json, what networks_test.cc compares with; the other entries stay as they are.

    tests/nets/make_expected.py NAME…

The facts are what `mox nets NAME --json` says, so that a later change of the network is seen. Those of TF-slim's 32 networks are TF-slim's own, which
--slim=FOLDER reads, one JSON file a network: without it they stay.
"""

import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


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


def of_slim(path):
    network = json.loads(path.read_text())
    return {**network, "regularized": {regularized_variable(operation) for operation in network["regularized"]}}


def described(mox, name):
    done = subprocess.run([mox, "nets", name, "--json", "--batch_size=2"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make_expected: {done.stderr.strip()}")
    network = json.loads(done.stdout)
    return {**network, "regularized": {v["name"] for v in network["variables"] if v["regularized"]},
            "end_points": {e["name"]: e["shape"] for e in network["end_points"]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME", help="of networks that `mox nets` lists")
    parser.add_argument("--mox", default=HERE.parents[1] / "build/release/bin/mox", help="the program; by default that of this clone's build")
    parser.add_argument("--slim", type=pathlib.Path, help="the folder of TF-slim's JSON files, for networks of TF-slim's")
    args = parser.parse_args()
    target = HERE / "expected/networks.json"
    known = json.loads(target.read_text())
    for name in args.names:
        slim = args.slim and args.slim / f"{name}.json"
        if slim and slim.exists():
            known[name] = facts(of_slim(slim), "TF-slim")
        elif known.get(name, {}).get("source") == "TF-slim":
            sys.exit(f"make_expected: the facts of {name} are TF-slim's; they are written with --slim=FOLDER alone")
        else:
            known[name] = facts(described(args.mox, name), "MoXing")
    target.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
