#!/usr/bin/env python3
"""What several devices in one process cost: steps on so many CPU devices against one device that has the joined batch, by turns in one call.
Prints the time of one device over that of several, medians of the rounds.

    bench/cluster/devices.py [--networks=resnet_v1_50,lenet] [--devices=2,4] [--batch=8] [--update=replicated_host] [--rounds=5] [--flags=…] [--out=FILE]
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import tempfile

from train import BUILD, ROOT, steady

STEPS = {"resnet_v1_50": 10, "mobilenet_v1": 24, "lenet": 400}


def step_seconds(network, batch, devices, update, flags):
    """batch: of all devices together."""
    with tempfile.TemporaryDirectory() as folder:
        args = [BUILD / "bin/train_networks", network, "float32", batch // devices, STEPS[network], folder, f"--num_gpus={devices}",
                f"--variable_update={update}", *flags]
        done = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    rates = [float(rate) for rate in re.findall(r"sample/sec: ([0-9.]+)", done.stderr)]
    return steady([batch / rate for rate in rates[1:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="resnet_v1_50,lenet")
    parser.add_argument("--devices", default="2,4")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--update", default="replicated_host")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flags", default="", help="of MoXing, for several devices alone")
    parser.add_argument("--out", default=str(ROOT / "bench/cluster/devices.json"))
    options = parser.parse_args()
    rows = []
    for network in options.networks.split(","):
        for devices in map(int, options.devices.split(",")):
            runs = []
            for number in range(options.rounds):
                run = {}
                for count in (1, devices) if number % 2 == 0 else (devices, 1):
                    run[str(count)] = step_seconds(network, options.batch, count, options.update, options.flags.split() if count > 1 else [])
                runs.append(run)
            ratio = round(statistics.median(run["1"] / run[str(devices)] for run in runs), 3)
            rows.append({"network": network, "batch": options.batch, "devices": devices, "update": options.update, "one/several": ratio,
                         "step_seconds": runs})
            print(network, devices, "devices:", ratio, [round(run["1"] / run[str(devices)], 3) for run in runs], flush=True)
    pathlib.Path(options.out).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
