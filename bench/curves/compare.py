"""How the cost of a training scales: with the batch, threads, image size, classes, and files of the data set. Writes results.json (see
bench/results.py).

  .venv/bin/python bench/curves/compare.py [--runs=3] [--only=batch,threads,size,classes,files] [--network=mobilenet_v1]
      [--output=bench/curves/results.json]

Rows are `CURVE X`: `mox bench train` on synthetic images, all else as in the row `batch 16`; `files X` is a data set of that many files
(bench/many/mox_many.py). The points of a curve come in turn, up and down.
"""
import argparse
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "many"))
from linked_files import make_files  # noqa: E402
from results import BUILD, Contender, Results  # noqa: E402

FIGURES = {"samples_per_second": "higher", "cpu_ms_per_sample": "lower", "peak_mib": "lower", "list_seconds": "lower", "listed_mib": "lower",
           "first_batch_seconds": "lower", "resume_seconds": "lower"}
CURVES = {"batch": (1, 2, 4, 8, 16, 32, 64), "threads": (1, 2), "size": (96, 128, 160, 192, 224, 320, 448), "classes": (10, 1000, 10_000, 100_000),
          "files": (1000, 10_000, 100_000, 1_000_000)}
FLAGS = {"batch": "--batch_size={}", "threads": "--num_intra_threads={} --num_inter_threads={}", "size": "--image_size={}",
         "classes": "--num_classes={}"}


def point(network, curve, x):
    """Of some seconds: so many steps."""
    batch, size = (x if curve == "batch" else 16), (x if curve == "size" else 224)
    steps = max(4, round(160 / batch * (224 / size) ** 2))
    words = [f"--model_name={network}", "--batch_size=16", *FLAGS[curve].format(x, x).split(), "--warmup=2", f"--steps={steps}", "--json"]
    if curve == "batch":
        words.remove("--batch_size=16")

    def read(text, folder):
        (row,) = json.loads(text[text.index("{"):])["rows"]
        return {"samples_per_second": round(row["samples_per_second"], 3), "cpu_ms_per_sample": round(row["cpu_ms_per_step"] / batch, 3),
                "step_ms": round(row["step_ms"], 3), "peak_mib": row["peak_mib"], "steps": steps}

    return Contender("mox", [BUILD / "bin/mox", "bench", "train", *words], read=read)


def files_point(folder, count):
    place = pathlib.Path(folder) / str(count)
    place.mkdir()
    data = make_files(place, count, count // 100)
    return Contender("mox", [sys.executable, HERE.parent / "many/mox_many.py", "files", data, count], env={"PYTHONPATH": str(BUILD / "python")})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default=",".join(CURVES))
    parser.add_argument("--network", default="mobilenet_v1")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    results = Results(args.output, "curves", FIGURES)
    for curve in args.only.split(","):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            points = {x: files_point(folder, x) if curve == "files" else point(args.network, curve, x) for x in CURVES[curve]}
            name = curve if curve == "files" else f"{args.network} {curve}"
            results.rows_in_turn({f"{name} {x}": [contender] for x, contender in points.items()}, args.runs, curve=curve)


if __name__ == "__main__":
    main()
