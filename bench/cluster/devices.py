#!/usr/bin/env python3
"""What several devices in one process cost: steps on so many CPU devices against one device that has the joined batch, by turns in one call.
Prints the time of one device over that of several, medians of the rounds.

    bench/cluster/devices.py [--networks=resnet_v1_50,lenet] [--devices=2,4] [--batch=8] [--update=replicated_host] [--rounds=5] [--flags=…] [--out=FILE]
        [--without=MOX_JOINED_PRODUCTS]     several devices once more, with this environment variable 0
    bench/cluster/devices.py --operations …     where it goes: on one thread, one device that has the joined batch, several devices, and one device
                                                with the batch of one of them; milliseconds of a traced step by kind of operation

CPU times are of whole processes, over the steps: what begins and ends a process is in all of them.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile

from train import BUILD, ONE_THREAD, ROOT, steady

STEPS = {"resnet_v1_50": 10, "mobilenet_v1": 24, "lenet": 400, "alexnet_v2": 12, "vgg_16": 6}


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def step_seconds(network, batch, devices, update, flags, **changes):
    """Of the clock, and of the processors. batch: of all devices together; changes: of the environment."""
    before = cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        args = [BUILD / "bin/train_networks", network, "float32", batch // devices, STEPS[network], folder, f"--num_gpus={devices}",
                f"--variable_update={update}", *flags]
        done = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=900, env={**os.environ, **changes})
    assert done.returncode == 0, done.stderr
    rates = [float(rate) for rate in re.findall(r"sample/sec: ([0-9.]+)", done.stderr)]
    return steady([batch / rate for rate in rates[1:]]), (cpu_seconds() - before) / STEPS[network]


def traced_step(network, batch, devices, update):
    """On one thread: seconds a step, and milliseconds of one of them by kind of operation."""
    with tempfile.TemporaryDirectory() as folder:
        args = [BUILD / "bin/train_networks", network, "float32", batch // devices, STEPS[network], folder, STEPS[network] - 2,
                f"--num_gpus={devices}", f"--variable_update={update}", *ONE_THREAD]
        done = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        timeline = json.loads(pathlib.Path(folder, f"timeline-{STEPS[network] - 2}.json").read_text())
    kinds = collections.Counter()
    for event in timeline["traceEvents"]:
        if event["ph"] == "X":
            kinds[event["name"]] += event["dur"] / 1e3
    rates = [float(rate) for rate in re.findall(r"sample/sec: ([0-9.]+)", done.stderr)]
    untraced = [batch / rate for rate in rates[1:STEPS[network] - 3]]
    return statistics.median(untraced), kinds


def operations(network, batch, devices, update, rounds):
    ways = {"one": (batch, 1), "several": (batch, devices), "small": (batch // devices, 1)}
    steps, kinds = {way: [] for way in ways}, {way: [] for way in ways}
    for _ in range(rounds):
        for way, (samples, count) in ways.items():
            seconds, spent = traced_step(network, samples, count, update)
            steps[way].append(round(seconds, 4))
            kinds[way].append(spent)
    of = {way: {kind: round(statistics.median(spent[kind] for spent in runs), 1) for kind in set().union(*runs)} for way, runs in kinds.items()}
    table = {kind: [of[way].get(kind, 0) for way in ways] for kind in sorted(set().union(*of.values()))}
    table = {kind: spent for kind, spent in table.items() if max(spent) >= 2}
    return {"network": network, "batch": batch, "devices": devices, "update": update, "threads": 1, "step_seconds": steps,
            "milliseconds of one, several, small": table}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="resnet_v1_50,lenet")
    parser.add_argument("--devices", default="2,4")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--update", default="replicated_host")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flags", default="", help="of MoXing, for several devices alone")
    parser.add_argument("--without", metavar="VARIABLE")
    parser.add_argument("--out", default=str(ROOT / "bench/cluster/devices.json"))
    parser.add_argument("--operations", action="store_true")
    options = parser.parse_args()
    rows = []
    for network in options.networks.split(","):
        for devices in map(int, options.devices.split(",")):
            if options.operations:
                rows.append(operations(network, options.batch, devices, options.update, options.rounds))
                print(json.dumps(rows[-1]), flush=True)
                continue
            ways = {"1": (1, [], {}), str(devices): (devices, options.flags.split(), {})}
            if options.without:
                ways["without"] = (devices, options.flags.split(), {options.without: "0"})
            runs = []
            for number in range(options.rounds):
                run = {}
                for way in ways if number % 2 == 0 else reversed(ways):
                    count, flags, changes = ways[way]
                    run[way], run[f"{way} cpu"] = step_seconds(network, options.batch, count, options.update, flags, **changes)
                runs.append(run)
            row = {"network": network, "batch": options.batch, "devices": devices, "update": options.update}
            for measure in "", " cpu":
                row[f"one/several{measure}"] = round(statistics.median(run[f"1{measure}"] / run[f"{devices}{measure}"] for run in runs), 3)
                if options.without:
                    row[f"without/with{measure}"] = round(statistics.median(run[f"without{measure}"] / run[f"{devices}{measure}"] for run in runs), 3)
            print(json.dumps(row), [{name: round(value, 4) for name, value in run.items()} for run in runs], flush=True)
            rows.append({**row, "step_seconds": runs})
    pathlib.Path(options.out).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
