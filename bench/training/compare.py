"""Whole processes, in turn: mox against Keras, PyTorch and a plain tf.compat.v1 Session. Writes results.json (see results.py).

  .venv/bin/python bench/training/compare.py lenet|softmax|photos [--runs=3] [--steps=N] [--peers=keras,torch,session]
      [--photos=DIR] [--peers_python=PYTHON] [--output=bench/training/results.json]

The steps a second are those of the median over the second half of the steps, start-up left out. photos: mobilenet_v1_025 at 128x128 on class
folders of photographs (bench/data/make_photos.py), augmented, against PyTorch, the same network by a DataLoader.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, ROOT, Contender, Results, json_lines, mox_steps, steady  # noqa: E402

DATA = os.environ.get("MOX_BENCH_DATA", "/usr/share/datasets/fashion-mnist")
STEPS = {"lenet": 500, "softmax": 10000, "photos": 230}
BATCH = {"lenet": 50, "softmax": 100, "photos": 32}
GROUP = {"lenet": 50, "softmax": 100, "photos": 10}  # steps a reported time
SETTINGS = {"keras": {"lenet": ["steps_per_execution=1", "steps_per_execution=50"], "softmax": ["steps_per_execution=1", "steps_per_execution=100"]},
            "torch": {"lenet": ["eager", "compile"], "softmax": ["eager", "eager,threads=1", "compile", "compile,threads=1"],
                      "photos": ["workers=2", "compile,workers=1", "compile,workers=2", "compile,channels_last,workers=2"]},
            "session": {"lenet": ["inter_op=0", "inter_op=1"], "softmax": ["inter_op=0", "inter_op=1"]}}
FIGURES = {"steps_per_second": "higher", "seconds": "lower", "cpu_seconds": "lower", "peak_mib": "lower"}


def rate(found):
    return {**found, "steps_per_second": round(1 / steady(found["step_seconds"]), 3)}


def contenders(task, data, steps, peers, pythons):
    def ours(who, *command):
        return Contender(who, list(command), env={"PYTHONPATH": str(BUILD / "python")},
                         read=lambda text, folder: rate(mox_steps(text, BATCH[task])))

    if task == "lenet":
        yield ours("mox", BUILD / "bin/mox", "train", "--model_name=lenet", "--dataset_name=fashion_mnist", f"--data_url={data}", "--train_url=log",
                   f"--batch_size={BATCH[task]}", f"--max_number_of_steps={steps}", "--optimizer=momentum", "--learning_rate_strategy=10:0.01",
                   f"--log_every_n_steps={GROUP[task]}")
    elif task == "photos":
        yield ours("mox", BUILD / "bin/mox", "train", "--model_name=mobilenet_v1_025", "--image_size=128", f"--data_url={data}", "--train_url=log",
                   f"--batch_size={BATCH[task]}", f"--max_number_of_steps={steps}", "--optimizer=momentum", "--learning_rate=0.01",
                   f"--log_every_n_steps={GROUP[task]}")
    else:
        yield ours("mox", BUILD / "examples/mnist_softmax", f"--data_url={data}", "--train_url=log", f"--steps={steps}")
        yield ours("mox_python", sys.executable, ROOT / "examples/mnist_softmax.py", f"--data_url={data}", "--train_url=log", f"--steps={steps}")
    for peer in peers:
        for setting in SETTINGS[peer][task]:
            yield Contender(peer, [pythons[peer], HERE / f"{peer}_{task}.py", data, steps, setting], setting,
                            {"PYTHONPATH": str(BUILD / "python")} if peer == "session" else {},
                            lambda text, folder: rate(json_lines(text)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=STEPS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--peers", help="default: all that the task has")
    parser.add_argument("--photos", help="the photographs of the task photos, when they are made already")
    parser.add_argument("--peers_python", default=sys.executable, help="a Python with bench/requirements.txt, when this one has it not")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    if args.photos and args.task != "photos":
        parser.error("--photos is for the task photos")
    peers = args.peers.split(",") if args.peers else [peer for peer in SETTINGS if args.task in SETTINGS[peer]]
    pythons = {"keras": sys.executable, "session": sys.executable, "torch": args.peers_python}
    steps = args.steps or STEPS[args.task]
    with tempfile.TemporaryDirectory() as folder:
        data = args.photos or DATA
        if args.task == "photos" and not args.photos:
            data = f"{folder}/photos"
            subprocess.run([sys.executable, str(HERE.parent / "data/make_photos.py"), data], check=True, env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2"))
        Results(args.output, "training", FIGURES).row(args.task, list(contenders(args.task, data, steps, peers, pythons)), args.runs, steps=steps,
                                                      batch=BATCH[args.task])


main()
