"""Whole processes, in turn: mox against Keras and PyTorch. Prints JSON; medians and ratios are what to quote.

  .venv/bin/python bench/training/compare.py lenet|softmax [--runs=3] [--peers=keras,torch] [--torch_python=PYTHON] > result.json

A contender prints a last line `steps/s: X`: the median over the second half of its steps, start-up left out. Whole time
and peak memory are the operating system's account of the process.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/release"
DATA = os.environ.get("MOX_BENCH_DATA", "/usr/share/datasets/fashion-mnist")


def contenders(task, peers, steps, folder, torch_python):
    python = sys.executable
    if task == "lenet":
        ours = {"mox": [str(BUILD / "bin/mox"), "train", "--model_name=lenet", "--dataset_name=fashion_mnist", f"--data_url={DATA}",
                        f"--train_url={folder}/mox", "--batch_size=50", f"--max_number_of_steps={steps}", "--optimizer=momentum",
                        "--learning_rate_strategy=10:0.01", "--log_every_n_steps=50"]}
    else:
        ours = {"mox": [str(BUILD / "examples/mnist_softmax"), f"--data_url={DATA}", f"--train_url={folder}/mox", f"--steps={steps}"],
                "mox_python": [python, str(ROOT / "examples/mnist_softmax.py"), f"--data_url={DATA}", f"--train_url={folder}/mox_python",
                               f"--steps={steps}"]}
    return ours | {peer: [torch_python if peer == "torch" else python, str(HERE / f"{peer}_{task}.py"), DATA, str(steps)] for peer in peers}


def run(command):
    env = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2", PYTHONPATH=str(BUILD / "python"))
    start = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed:\n{text[-3000:]}")
    rates = [float(r) for r in re.findall(r"^step: \d+.*?sample/sec: ([\d.]+)", text, re.M)]
    if rates:  # mox's log lines
        batch = 50 if "lenet" in " ".join(command) else 100
        rate = statistics.median(rates[len(rates) // 2:]) / batch
    else:
        rate = float(re.findall(r"steps/s: ([\d.]+)", text)[-1])
    return {"seconds": time.time() - start, "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024,
            "steps_per_second": rate}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["lenet", "softmax"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--peers", default="keras,torch")
    parser.add_argument("--torch_python", default=sys.executable, help="a Python that has PyTorch, when this one has not")
    args = parser.parse_args()
    steps = args.steps or {"lenet": 1000, "softmax": 10000}[args.task]
    results = {}
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in contenders(args.task, [p for p in args.peers.split(",") if p], steps, folder,
                                            args.torch_python).items():
                results.setdefault(name, []).append(run(command))
                print(name, results[name][-1], file=sys.stderr)
    median = {name: {key: statistics.median(r[key] for r in runs) for key in runs[0]} for name, runs in results.items()}
    ratios = {f"{ours}/{peer}": {key: round(median[ours][key] / median[peer][key], 3) for key in median[ours]}
              for ours in median if ours.startswith("mox") for peer in median if not peer.startswith("mox")}
    print(json.dumps({"task": args.task, "steps": steps, "runs": args.runs, "cores": os.cpu_count(), "machine": platform.processor() or platform.machine(),
                      "median": median, "ratios": ratios}, indent=1))


main()
