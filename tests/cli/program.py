"""The program as users start it: a process, its output, its exit code."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOX = pathlib.Path(os.environ.get("MOX_BUILD", ROOT / "build/release")) / "bin/mox"
DATA = "/usr/share/datasets/fashion-mnist"


def mox(*args, check=True, **kwargs):
    """Runs the program; with check, a failure shows what it said."""
    done = subprocess.run([str(MOX), *map(str, args)], capture_output=True, text=True, timeout=300, **kwargs)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def train_args(train_url, steps, **flags):
    args = ["train", "--model_name=lenet", "--dataset_name=fashion_mnist", f"--data_url={DATA}", f"--train_url={train_url}",
            "--batch_size=50", f"--max_number_of_steps={steps}", "--optimizer=momentum", "--learning_rate_strategy=10:0.01"]
    return args + [f"--{name}={value}" for name, value in flags.items()]
