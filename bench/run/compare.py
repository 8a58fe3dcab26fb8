"""What the training loop and a checkpoint's save cost. Writes results.json (see bench/results.py). Build with -DMOX_BUILD_BENCH=ON.

  .venv/bin/python bench/run/compare.py [--runs=3] [--steps=8000] [--saves=10] [--output=bench/run/results.json]

Row `loop` has a bare Session on the same graph (`session`), the loop, the loop with a hook, and with hook, log and summaries.
"""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results, json_lines  # noqa: E402

FIGURES = {"us_per_step": "lower", "blocked_ms": "lower", "worst_blocked_ms": "lower", "step_ms": "lower"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"runs": 3, "steps": 8000, "saves": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    results = Results(args.output, "run", FIGURES)
    loop = [Contender(who, [BUILD / "bin/loop_overhead", args.steps, 1],
                      read=lambda text, folder, what=what: {"us_per_step": json_lines(text)["us_per_step"][what]})
            for who, what in {"session": "session", "mox": "loop", "mox with hook": "loop_with_hook",
                              "mox with hook, log, summaries": "loop_with_hook_log_summaries"}.items()]
    results.row("loop", loop, args.runs, steps=args.steps)
    results.row("save of 100 MB", [Contender("mox", [BUILD / "bin/save_block", args.saves])], args.runs, saves=args.saves)


main()
