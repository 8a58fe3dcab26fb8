#!/usr/bin/env python3
"""What the exchange costs a training: processes of one thread that train together, against as many that train each for itself; ours and
PyTorch's DistributedDataParallel over Gloo, by turns in one call. Prints the rate together over the rate apart, medians of the rounds.

    bench/cluster/train.py --peers_python=PYTHON [--networks=resnet_v1_50,mobilenet_v1,lenet] [--workers=2] [--batch=8] [--rounds=3] [--out=FILE]
    bench/cluster/train.py --modes=collective_all_reduce,parameter_server …     each of these together, by turns, without the peer;
                                                            parameter servers are one process, whose threads are not limited
    bench/cluster/train.py --gbit=1 --without=MOX_EARLY_GRADIENTS …    each worker behind a link of its own (root, iproute2), without the peer;
                                                            and once more together with this environment variable 0
"""
import argparse
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile

import scaling

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
ONE_THREAD = ["--num_inter_threads=1", "--num_intra_threads=1"]
STEPS = {"resnet_v1_50": 10, "mobilenet_v1": 24, "lenet": 300}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(processes):
    outputs = [process.communicate(timeout=900) for process in processes]
    for process, (out, err) in zip(processes, outputs):
        assert process.returncode == 0, err or out
    return outputs


def steady(times):
    """The median of the second half."""
    return statistics.median(times[len(times) // 2:])


def mox_step(network, batch, workers, together, folder, mode, links=None, **changes):
    """Seconds a step. links: the network in which each worker has its own; changes: of the environment."""
    steps = STEPS[network]
    hosts = [links.address(index) if links else "127.0.0.1" for index in range(workers)]
    cluster = ["--worker_hosts=" + ",".join(f"{host}:{free_port()}" for host in hosts)]
    if mode != "collective_all_reduce":
        cluster += [f"--ps_hosts={hosts[0]}:{free_port()}", f"--variable_update={mode}"]

    def start(name, *more):
        place = ["nsenter", f"--net=/run/netns/w{0 if name == 'ps' else name}"] if links else []
        args = [*place, BUILD / "bin/train_networks", network, "float32", batch, steps, f"{folder}/{name}", *more]
        return subprocess.Popen(list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "MOX_CLUSTER_TOKEN": "bench", **changes})

    processes = [start(index, *ONE_THREAD, *([*cluster, f"--task_index={index}"] if together else [])) for index in range(workers)]
    if together and mode != "collective_all_reduce":
        processes.append(start("ps", *cluster, "--job_name=ps"))
    outputs = wait_for(processes)
    times = []
    for _, err in outputs:
        rates = [float(rate) for rate in re.findall(r"sample/sec: ([0-9.]+)", err)]
        if rates:
            times.append(steady([batch * (workers if together else 1) / rate for rate in rates[1:]]))
    return statistics.mean(times)


def torch_step(python, network, batch, workers, together):
    port = free_port()
    processes = [subprocess.Popen([python, str(ROOT / "bench/cluster/torch_ddp.py"), network, str(batch), str(STEPS[network]), str(index), str(workers),
                                   str(port), "ddp" if together else "alone"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                 for index in range(workers)]
    reports = [json.loads(out.splitlines()[-1]) for out, _ in wait_for(processes)]
    return statistics.mean(steady(report["step_seconds"]) for report in reports), reports[0]["torch"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers_python")
    parser.add_argument("--modes", default="collective_all_reduce", help="of collective_all_reduce, parameter_server, distributed_replicated")
    parser.add_argument("--networks", default="resnet_v1_50,mobilenet_v1,lenet")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gbit", type=float)
    parser.add_argument("--without", metavar="VARIABLE")
    parser.add_argument("--out", default=str(ROOT / "bench/cluster/train.json"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    modes = flags.modes.split(",")
    sides = ["mox", "torch"] if modes == ["collective_all_reduce"] and flags.peers_python and not flags.gbit else ["mox"]
    ways = ["together", *(["without"] if flags.without else []), *modes[1:], "apart"]
    links = None
    if flags.gbit:
        scaling.enter_own_network(flags.inside)
        links = scaling.Network(flags.workers, flags.gbit, 0)  # the rate alone
    rows = []
    for network in flags.networks.split(","):
        runs = []
        for number in range(flags.rounds):
            run = {}
            for way in ways if number % 2 == 0 else reversed(ways):
                together, changes = way != "apart", {flags.without: "0"} if way == "without" else {}
                with tempfile.TemporaryDirectory() as folder:
                    mode = way if way in modes else modes[0]
                    run[f"mox {way}"] = mox_step(network, flags.batch, flags.workers, together, folder, mode, links, **changes)
                if "torch" in sides and way != "without":
                    run[f"torch {way}"], torch_version = torch_step(flags.peers_python, network, flags.batch, flags.workers, together)
            runs.append(run)
            print(network, json.dumps({name: round(value, 4) for name, value in run.items()}), flush=True)
        row = {"network": network, "mode": modes[0], "workers": flags.workers, "batch": flags.batch, "runs": runs}
        for side in sides:
            row[f"{side} together/apart"] = round(statistics.median(run[f"{side} apart"] / run[f"{side} together"] for run in runs), 3)
        for mode in modes[1:]:
            row[f"{mode}/apart"] = round(statistics.median(run["mox apart"] / run[f"mox {mode}"] for run in runs), 3)
            row[f"{mode}/{modes[0]}"] = round(statistics.median(run["mox together"] / run[f"mox {mode}"] for run in runs), 3)
        if links:
            row["links"] = f"{flags.gbit:g} Gbit/s, {links.shaping}"
        if flags.without:
            row[f"without {flags.without}: time"] = round(statistics.median(run["mox without"] / run["mox together"] for run in runs), 3)
        if "torch" in sides:
            row["torch"] = torch_version
            row["mox/torch images a second"] = round(statistics.median(run["torch together"] / run["mox together"] for run in runs), 3)
        rows.append(row)
        print({key: value for key, value in row.items() if key != "runs"}, flush=True)
    pathlib.Path(flags.out).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
