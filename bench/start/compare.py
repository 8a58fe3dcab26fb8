"""How long trainings take to start and to end, and what importing the package adds. Writes results.json (see results.py).

  .venv/bin/python bench/start/compare.py [--rows=lenet,resnet_v1_50,nasnet_large,import] [--runs=3] [--data_url=FASHION_MNIST]
      [--photos=CLASS_FOLDERS] [--mox=before=PATH,…] [--output=bench/start/results.json]

Figures of a training, from the start of the process: `to_first_step` until the first step begins, `first_step` that step,
`kinds` what the first steps that fetch other things (none; a line, but no summaries) took longer than later ones, `end` from
the last step's line until the process is gone. `import`: seconds of `import moxing.tensorflow` and of `import
tensorflow.compat.v1`, in processes of their own. --mox adds other builds of the program to the turns.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results, json_lines  # noqa: E402

FIGURES = {"to_first_step": "lower", "first_step": "lower", "kinds": "lower", "end": "lower", "import_seconds": "lower", "seconds": "lower",
           "cpu_seconds": "lower"}
STEPS = 11  # lines of steps 0, 2, … 10
BATCH = {"lenet": 50, "resnet_v1_50": 16, "nasnet_large": 1}


def times(text, _):
    found = json_lines(text)
    (begin,), lines = found["lines"]
    gaps = [b - a for a, b in zip(lines, lines[1:])]
    return {"peak_mib": None, "to_first_step": begin, "first_step": round(lines[0] - begin, 4), "kinds": round(gaps[0] - statistics.median(gaps[1:]), 4),
            "end": round(found["ended"] - lines[-1], 4), "two_steps": gaps}


def training(network, args, program, who):
    data = ["--dataset_name=fashion_mnist", f"--data_url={args.data_url}"] if network == "lenet" else [f"--data_url={args.photos}"]
    return Contender(who, [sys.executable, HERE / "timed.py", "^Running will end", r"^step: \d", "--", program, "train", f"--model_name={network}",
                           *data, "--train_url=log", f"--batch_size={BATCH[network]}", f"--max_number_of_steps={STEPS}", "--log_every_n_steps=2",
                           "--save_summary_steps=100", "--optimizer=momentum", "--learning_rate=0.001"], read=times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="lenet,resnet_v1_50,nasnet_large,import")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--data_url", default=os.environ.get("MOX_BENCH_DATA", "/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--photos", help="class folders of photographs, when bench/data's are made already")
    parser.add_argument("--mox", default="", help="NAME=PROGRAM,…: other builds, in turn with this one")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    programs = {"mox": BUILD / "bin/mox", **{f"mox {name}": path for name, path in (pair.split("=") for pair in args.mox.split(",") if pair)}}
    results = Results(args.output, "start", FIGURES)
    rows = args.rows.split(",")
    made = tempfile.TemporaryDirectory()
    if not args.photos and any(row in BATCH and row != "lenet" for row in rows):
        args.photos = made.name
        subprocess.run([sys.executable, HERE.parent / "data/make_photos.py", args.photos], check=True, env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2"))
    for row in rows:
        if row == "import":
            contenders = [Contender(who, [sys.executable, HERE / "importing.py", module], env={"PYTHONPATH": str(BUILD / "python")})
                          for who, module in {"mox": "moxing.tensorflow", "tensorflow": "tensorflow.compat.v1"}.items()]
        else:
            contenders = [training(row, args, program, who) for who, program in programs.items()]
        results.row(row, contenders, args.runs, **({"batch": BATCH[row], "steps": STEPS} if row in BATCH else {}))


main()
