"""Does 16 bit training reach the accuracy of 32 bit? Trains a network in each dtype with several seeds, in turn. Writes
precision.json (see bench/results.py): a row a network, a contender a dtype, a round a seed.

  .venv/bin/python bench/training/precision.py [--model_name=lenet] [--steps=2400] [--seeds=3] [--dtypes=float32,bfloat16,float16]
      [--output=bench/training/precision.json]
  .venv/bin/python bench/training/precision.py --model_name=resnet_v1_20 --steps=1410 --seeds=1 --dtypes=float32,bfloat16 \\
    --batch_size=128 --learning_rate_strategy='1:0.02->0.1,3:0.1=>0.005' --weight_decay=0.0001

float16 runs with --loss_scale=dynamic.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results, mox_steps, steady  # noqa: E402

MOX = BUILD / "bin/mox"
DATA = os.environ.get("MOX_BENCH_DATA", "/usr/share/datasets/fashion-mnist")


def contender(args, dtype):
    def command(turn):
        return [MOX, "train", f"--model_name={args.model_name}", "--dataset_name=fashion_mnist", f"--data_url={DATA}", "--train_url=log",
                f"--batch_size={args.batch_size}", f"--weight_decay={args.weight_decay}", f"--max_number_of_steps={args.steps}",
                "--optimizer=momentum", f"--learning_rate_strategy={args.learning_rate_strategy}", "--log_every_n_steps=100",
                "--save_model_secs=0", f"--seed={args.first_seed + turn}", f"--dtype={dtype}",
                *(["--loss_scale=dynamic"] if dtype == "float16" else [])]

    def read(text, folder):
        evaluated = subprocess.run([MOX, "eval", f"--checkpoint_url={folder}/log", "--json"], capture_output=True, text=True, check=True)
        found = mox_steps(text, args.batch_size)
        return {**found, "accuracy": json.loads(evaluated.stdout)["accuracy"], "steps_per_second": round(1 / steady(found["step_seconds"]), 3),
                "skipped_steps": text.count("the step is skipped")}

    return Contender(f"mox {dtype}", command, read=read)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_name", default="lenet")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch_size", type=int, default=50)
    parser.add_argument("--weight_decay", type=float, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first_seed", type=int, default=1)
    parser.add_argument("--dtypes", default="float32,bfloat16,float16")
    parser.add_argument("--learning_rate_strategy", default="1:0.01,2:0.01->0.001")
    parser.add_argument("--output", default=HERE / "precision.json")
    args = parser.parse_args()
    Results(args.output, "training/precision", {"accuracy": "higher", "steps_per_second": "higher"}).row(
        args.model_name, [contender(args, dtype) for dtype in args.dtypes.split(",")], args.seeds,
        **{name: value for name, value in vars(args).items() if name != "output"})


main()
