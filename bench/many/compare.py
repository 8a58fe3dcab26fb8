#!/usr/bin/env python3
"""Very many small things: a data set of 1,000,000 files, one of 10,000 classes, 100 GB of TFRecord. Writes results.json (see bench/results.py).

  bench/many/compare.py [--runs=3] [--rows=files,classes,records] [--files=1000000] [--gigabytes=100] [--peers_python=PYTHON]
      [--output=bench/many/results.json]

Root: the files are hard links to one small picture on a tmpfs of its own, in a mount namespace of its own, with inodes enough. The records of 1 MB
are sparse: only their ends are on the tmpfs, and reading them costs no disk.

files: `list_seconds` and `listed_mib`, what listing takes; `first_batch_seconds`, from there to the first batch of 256 (ours: to the end of a training
of one step); `resume_seconds`, ours: the same where the training stands in the middle of the epoch. Peers: torchvision's ImageFolder with PyTorch's
DataLoader, Keras's image_dataset_from_directory.
classes: `mox train` for three steps, `mox eval`, `mox report`; how long, how many lines and how large.
records: `list_seconds`, counting the records; the rest as for files. Peer: tf.data, which counts by reading, and resumes by skip().
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from linked_files import make_files  # noqa: E402
from results import BUILD, Contender, Results  # noqa: E402
from sparse_records import write_records  # noqa: E402

FIGURES = {"list_seconds": "lower", "listed_mib": "lower", "first_batch_seconds": "lower", "resume_seconds": "lower", "seconds": "lower",
           "cpu_seconds": "lower", "peak_mib": "lower", "eval_seconds": "lower", "table_lines": "lower", "report_kib": "lower"}
ENV = {"PYTHONPATH": str(BUILD / "python")}


def files_row(folder, args):
    data = make_files(folder, args.files, 1000)
    yield Contender("mox", [sys.executable, HERE / "mox_many.py", "files", data, args.files], env=ENV)
    for workers in (0, 2):
        yield Contender("torch", [args.peers_python, HERE / "torch_files.py", data, workers], f"workers={workers}")
    yield Contender("keras", [sys.executable, HERE / "keras_files.py", data])


def classes_row(folder, args):
    data = make_files(folder, 100_000, 10_000)
    mox, run = BUILD / "bin/mox", folder / "run"

    def read(text, _):
        begin = time.monotonic()
        table = subprocess.run([mox, "eval", f"--checkpoint_url={run}", "--batch_size=100", "--max_number_of_steps=20"], capture_output=True, text=True,
                               check=True).stdout
        seconds = time.monotonic() - begin
        subprocess.run([mox, "report", run], capture_output=True, check=True)
        size = (run / "report.html").stat().st_size
        subprocess.run(["rm", "-r", run], check=True)
        return {"eval_seconds": round(seconds, 3), "table_lines": len(table.splitlines()), "report_kib": round(size / 1024, 1)}

    yield Contender("mox", [mox, "train", "--model_name=lenet", f"--data_url={data}", f"--train_url={run}", "--batch_size=32",
                            "--max_number_of_steps=3"], read=read)


def records_row(folder, args):
    data = folder / "records"
    data.mkdir()
    count = write_records(data, files=100, records=args.gigabytes * 10, size=1_000_000)
    yield Contender("mox", [sys.executable, HERE / "mox_many.py", "records", data, count], env=ENV)
    yield Contender("tf.data", [sys.executable, HERE / "tf_records.py", data, count])


ROWS = {"files": files_row, "classes": classes_row, "records": records_row}


def enter_own_mounts():
    if not os.environ.get("MOX_BENCH_OWN_MOUNTS"):
        os.execvpe("unshare", ["unshare", "-m", sys.executable, *sys.argv], {**os.environ, "MOX_BENCH_OWN_MOUNTS": "1"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--gigabytes", type=int, default=100)
    parser.add_argument("--peers_python", default=sys.executable, help="a Python with bench/requirements.txt, when this one has it not")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    enter_own_mounts()
    results = Results(args.output, "many", FIGURES)
    for row in args.rows.split(","):
        with tempfile.TemporaryDirectory() as name:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=8g,nr_inodes={args.files + 200_000}", "none", name], check=True)
            try:
                begin = time.monotonic()
                contenders = list(ROWS[row](pathlib.Path(name), args))
                print(json.dumps({"row": row, "made after": round(time.monotonic() - begin, 1)}), file=sys.stderr, flush=True)
                title = {"files": f"{args.files:,} files of 1,000 classes", "classes": "100,000 files of 10,000 classes",
                         "records": f"{args.gigabytes} GB of TFRecord in 100 files"}[row]
                results.row(title, contenders, args.runs)
            finally:
                subprocess.run(["umount", name], check=True)


if __name__ == "__main__":
    main()
