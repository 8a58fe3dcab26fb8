"""Does 16 bit training reach the accuracy of 32 bit? Trains a network in each dtype with several seeds; prints JSON.

  .venv/bin/python bench/training/precision.py [--model_name=lenet] [--steps=2400] [--seeds=3] [--dtypes=float32,bfloat16,float16]
  .venv/bin/python bench/training/precision.py --model_name=resnet_v1_20 --steps=1410 --seeds=1 --dtypes=float32,bfloat16 \
    --batch_size=128 --learning_rate_strategy='1:0.02->0.1,3:0.1=>0.005' --weight_decay=0.0001

float16 runs with --loss_scale=dynamic. `difference` is the mean accuracy less float32's, in points.
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
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOX = pathlib.Path(os.environ.get("MOX_BUILD", ROOT / "build/release")) / "bin/mox"
DATA = os.environ.get("MOX_BENCH_DATA", "/usr/share/datasets/fashion-mnist")


def train_and_evaluate(args, dtype, seed):
    with tempfile.TemporaryDirectory() as folder:
        train = [str(MOX), "train", f"--model_name={args.model_name}", "--dataset_name=fashion_mnist", f"--data_url={DATA}",
                 f"--train_url={folder}", f"--batch_size={args.batch_size}", f"--weight_decay={args.weight_decay}", f"--max_number_of_steps={args.steps}", "--optimizer=momentum",
                 f"--learning_rate_strategy={args.learning_rate_strategy}", "--log_every_n_steps=100", "--save_model_secs=0",
                 f"--seed={seed}", f"--dtype={dtype}"]
        if dtype == "float16":
            train.append("--loss_scale=dynamic")
        start = time.time()
        done = subprocess.run(train, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{train} failed:\n{done.stderr[-3000:]}")
        seconds = time.time() - start
        evaluated = subprocess.run([str(MOX), "eval", f"--checkpoint_url={folder}", "--json"], capture_output=True, text=True, check=True)
    rates = [float(rate) for rate in re.findall(r"sample/sec: ([\d.]+)", done.stderr)]
    return {"accuracy": json.loads(evaluated.stdout)["accuracy"], "seconds": round(seconds, 1),
            "steps_per_second": round(statistics.median(rates[len(rates) // 2:]) / args.batch_size, 1),
            "skipped_steps": done.stderr.count("the step is skipped")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="lenet")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch_size", type=int, default=50)
    parser.add_argument("--weight_decay", type=float, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first_seed", type=int, default=1)
    parser.add_argument("--dtypes", default="float32,bfloat16,float16")
    parser.add_argument("--learning_rate_strategy", default="1:0.01,2:0.01->0.001")
    args = parser.parse_args()
    runs = {}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for dtype in args.dtypes.split(","):
            runs.setdefault(dtype, []).append(train_and_evaluate(args, dtype, seed))
            print(dtype, seed, runs[dtype][-1], file=sys.stderr)
    mean = {dtype: statistics.mean(run["accuracy"] for run in of) for dtype, of in runs.items()}
    first = next(iter(mean))
    print(json.dumps({"model_name": args.model_name, "dataset": "fashion_mnist", "steps": args.steps, "cores": os.cpu_count(),
                      "accuracy": {dtype: round(value, 4) for dtype, value in mean.items()},
                      "difference": {dtype: round(100 * (value - mean[first]), 2) for dtype, value in mean.items() if dtype != first},
                      "runs": runs}, indent=1))


main()
