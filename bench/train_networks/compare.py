"""Training steps of built-in networks against Keras and PyTorch, whole processes in turn. Prints JSON.

  .venv/bin/python bench/train_networks/compare.py [--networks=resnet_v1_50,…] [--dtypes=float32,bfloat16] [--batch=16]
      [--steps=8] [--runs=1] [--peers=keras,torch] [--torch_python=PYTHON] > result.json

The rate is the median of the second half of the steps. Build with -DMOX_BUILD_BENCH=ON first.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build/release"


def rate(command):
    env = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed:\n{text[-3000:]}")
    ours = [float(r) for r in re.findall(r"^step: \d+.*?sample/sec: ([\d.]+)", text, re.M)]
    value = statistics.median(ours[len(ours) // 2:]) if ours else float(re.findall(r"images/s: ([\d.]+)", text)[-1])
    return {"images_per_second": value, "peak_mb": usage.ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", default="resnet_v1_50,mobilenet_v1,inception_v3,vgg_16")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--peers", default="keras,torch")
    for name, default in {"batch": 16, "steps": 8, "runs": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--torch_python", default=sys.executable, help="a Python that has PyTorch, when this one has not")
    args = parser.parse_args()
    python = {"torch": args.torch_python}
    rows = []
    for network in args.networks.split(","):
        for dtype in args.dtypes.split(","):
            what = [network, dtype, str(args.batch), str(args.steps)]
            found = {}
            for _ in range(args.runs):
                with tempfile.TemporaryDirectory() as folder:
                    commands = {"mox": [str(BUILD / "bin/train_networks"), *what, folder]}
                    for peer in filter(None, args.peers.split(",")):
                        commands[peer] = [python.get(peer, sys.executable), str(HERE / f"{peer}_network.py"), *what]
                    for name, command in commands.items():
                        found.setdefault(name, []).append(rate(command))
                        print(network, dtype, name, found[name][-1], file=sys.stderr, flush=True)
            median = {name: {key: statistics.median(r[key] for r in runs) for key in runs[0]} for name, runs in found.items()}
            ratios = {peer: round(median["mox"]["images_per_second"] / median[peer]["images_per_second"], 3)
                      for peer in median if peer != "mox"}
            rows.append({"network": network, "dtype": dtype, "median": median, "mox_times": ratios})
    print(json.dumps({"batch": args.batch, "steps": args.steps, "runs": args.runs, "cores": os.cpu_count(), "rows": rows}, indent=1))


main()
