#!/usr/bin/env python3
"""All benchmarks, one after the other, on a machine with nothing else to do; then the figures that fell, and the tables of the docs anew.

  bench/all.py [--only=NAME,…] [--rounds=3] [--peers_python=PYTHON] [--patience=SECONDS]     run, compare, write the tables
  bench/all.py --list                        what there is, how long it takes, and what it lacks here
  bench/all.py --compare [--against=REF]     only compare the files that are there with those of a commit

Contenders run in turn, the order turns round from one round to the next; each benchmark writes every run, with the versions of all sides,
into its own file (bench/results.py). A figure is called fallen where it is more than 5% worse than the stored one, by the direction that the
file says. On another machine than the stored figure's only ratios to peers are compared: they are quoted because machines differ.

Exit code: 0 when all that was asked for ran and nothing fell; 1 when a figure fell; 2 when a benchmark failed, or one that --only names lacks
what it needs. What is not named and lacks something is left out with a word.

A new benchmark is a line of BENCHMARKS.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import results

ROOT, BUILD = results.ROOT, results.BUILD
SERVERS = pathlib.Path(os.environ.get("MOX_SERVERS") or pathlib.Path.home() / ".cache/moxing/servers")
DATA = os.environ.get("MOX_BENCH_DATA", "/usr/share/datasets/fashion-mnist")
WORSE = 0.05  # a figure that is worse by more than this part fell


@dataclasses.dataclass
class Benchmark:
    """`command`: words below bench/, Python's first; {rounds}, {peers}, {mox}, {s5cmd}, {gateway} and {work} are filled in.
    `minutes`: of one round on 2 cores, or of all where it has no rounds. `writes`: its files below bench/. A file that bench/results.py did not write needs `label`, the fields that
    tell its rows apart, and `figures`, those that are compared, with the better direction; `rows` is where they lie in it ("": it is them)."""
    name: str
    command: str
    minutes: float
    needs: tuple
    writes: tuple
    rows: str = ""
    label: tuple = ()
    figures: dict = dataclasses.field(default_factory=dict)


BENCHMARKS = [
    Benchmark("lenet", "training/compare.py lenet --runs={rounds} --peers_python={peers}", 3, ("mox", "fashion_mnist", "peers"),
              ("training/results.json",)),
    Benchmark("softmax", "training/compare.py softmax --runs={rounds} --peers_python={peers}", 2, ("mox", "fashion_mnist", "peers"),
              ("training/results.json",)),
    Benchmark("photos", "training/compare.py photos --runs={rounds} --peers_python={peers}", 3, ("mox", "peers"), ("training/results.json",)),
    Benchmark("precision", "training/precision.py --seeds={rounds}", 8, ("mox", "fashion_mnist"), ("training/precision.json",)),
    Benchmark("train_networks", "train_networks/compare.py --runs={rounds} --peers_python={peers}", 45, ("bench", "peers"),
              ("train_networks/results.json",)),
    Benchmark("inference", "inference/compare.py --runs={rounds} --all_settings --peers_python={peers}", 12, ("bench", "peers", "onnxruntime"),
              ("inference/results.json",)),
    Benchmark("memory", "memory/compare.py --peers_python={peers}", 90, ("mox", "peers"), ("memory/results.json",)),
    Benchmark("curves", "curves/compare.py --runs={rounds}", 12, ("mox", "tmpfs"), ("curves/results.json",)),
    Benchmark("data", "data/compare.py --runs={rounds} --peers_python={peers}", 25, ("bench", "peers", "versitygw"), ("data/results.json",)),
    Benchmark("byte_batches", "data/byte_batches.py --runs={rounds}", 2, ("mox",), ("data/byte_batches.json",)),
    Benchmark("many", "many/compare.py --runs={rounds} --peers_python={peers}", 8, ("mox", "peers", "root", "tmpfs"), ("many/results.json",)),
    Benchmark("keys", "many/keys.py --runs={rounds} --s5cmd={s5cmd}", 3, ("mox", "s5cmd"), ("many/results.json",)),
    Benchmark("copies", "file/s5cmd.py {mox} {s5cmd} {gateway} {work}/copies --runs={rounds}", 3, ("mox", "s5cmd", "versitygw", "tmpfs"),
              ("file/results.json",)),
    Benchmark("object", "file/memory.py {mox} {work}/object", 4, ("mox", "tmpfs"), ("file/memory.json",)),
    Benchmark("start", "start/compare.py --runs={rounds}", 2, ("mox", "fashion_mnist"), ("start/results.json",)),
    Benchmark("loop", "run/compare.py --runs={rounds}", 2, ("bench",), ("run/results.json",)),
    Benchmark("workers", "cluster/train.py --rounds={rounds} --peers_python={peers}", 6, ("bench", "peers"), ("cluster/train.json",), "",
              ("network", "mode", "workers"), {"mox together/apart": "higher", "mox/torch images a second": "higher"}),
    Benchmark("early_gradients", "cluster/train.py --gbit=1 --without=MOX_EARLY_GRADIENTS --networks=resnet_v1_50,mobilenet_v1 --rounds={rounds} "
              "--out=cluster/early_gradients.json", 5, ("bench", "root"), ("cluster/early_gradients.json",), "", ("network", "workers"),
              {"mox together/apart": "higher", "without MOX_EARLY_GRADIENTS: time": "higher"}),
    Benchmark("devices", "cluster/devices.py --without=MOX_JOINED_PRODUCTS --rounds={rounds}", 4, ("bench",), ("cluster/devices.json",), "",
              ("network", "devices", "update"), {"one/several": "higher", "one/several cpu": "higher"}),
    Benchmark("scaling", "cluster/scaling.py --rounds={rounds} --docs", 8, ("bench", "root"), ("cluster/scaling.json",), "rows",
              ("gbit", "slowed", "workers"), {"wall_ms": "lower"}),
    Benchmark("kills", "cluster/kills.py --kills=40 --out=cluster/kills.json", 4, ("mox",), ("cluster/kills.json",), "runs", ("mode", "model"),
              {"largest difference": "lower"}),
    Benchmark("gpu", "gpu/check.sh", 10, ("gpu",), ()),
]


# ---- What is needed

def _runs(*command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def s5cmd_of(peers_python):
    beside = pathlib.Path(peers_python).with_name("s5cmd")
    return str(beside) if beside.exists() else shutil.which("s5cmd")


def _is_built(*names):
    return all((BUILD / "bin" / name).exists() for name in names)


def lacking(need, args):
    """What the machine lacks, in words; "" when it is there."""
    there, words = {
        "mox": (lambda: _is_built("mox"), f"{BUILD}/bin/mox is not built (make build)"),
        "bench": (lambda: _is_built("mox", "train_networks", "loop_overhead", "save_block", "raw_jpeg", "inference", "peak"),
                  "the programs of bench/ are not built (cmake -DMOX_BUILD_BENCH=ON build/release)"),
        "peers": (lambda: _runs(args.peers_python, "-c", "import timm, torch, torchvision"),
                  f"{args.peers_python} has no torch, torchvision and timm (bench/requirements.txt, --peers_python)"),
        "onnxruntime": (lambda: _runs(args.peers_python, "-c", "import onnx, onnxruntime"),
                        f"{args.peers_python} has no onnx and onnxruntime (bench/requirements.txt, --peers_python)"),
        "s5cmd": (lambda: bool(s5cmd_of(args.peers_python)), "there is no s5cmd beside --peers_python (bench/requirements.txt), nor in PATH"),
        "versitygw": (lambda: (SERVERS / "versitygw").exists(), f"there is no store server {SERVERS}/versitygw (scripts/setup.sh test, MOX_SERVERS)"),
        "fashion_mnist": (lambda: pathlib.Path(DATA, "train-images-idx3-ubyte.gz").exists(), f"{DATA} has no Fashion-MNIST (MOX_BENCH_DATA)"),
        "root": (lambda: os.geteuid() == 0, "root is needed, to mount and for networks of its own"),
        "tmpfs": (lambda: shutil.disk_usage(args.work_folder).free > 8 << 30, f"{args.work_folder} has less than 8 GiB (--work_folder)"),
        "gpu": (lambda: _runs("nvidia-smi"), "there is no GPU"),
    }[need]
    return "" if there() else words


def what_is_missing(benchmark, args):
    return "; ".join(filter(None, (lacking(need, args) for need in benchmark.needs)))


# ---- Comparing

def owner(file):
    """The benchmark whose rows say how the file is read: the first that writes it."""
    return next((b for b in BENCHMARKS if file in b.writes), None)


def figures_of(content, benchmark):
    """{(row, figure): (value, better, of_the_machine)} of a file that a benchmark wrote."""
    found = {}
    if isinstance(content, dict) and "figures" in content:  # bench/results.py
        for name, row in content["rows"].items():
            for who in filter(results.ours, row["best"]):
                for figure, setting in row["best"][who].items():
                    found[name, f"{who}: {figure}"] = (row["medians"][who][setting][figure], content["figures"][figure], True)
            for pair, of in row["ratios"].items():
                for figure, ratio in of.items():
                    found[name, f"{pair}: {figure}"] = (ratio["ratio"], content["figures"][figure], False)
        return found
    for row in content[benchmark.rows] if benchmark.rows else content:
        name = " ".join(str(row[field]) for field in benchmark.label if field in row)
        for figure, better in benchmark.figures.items():
            if figure in row:
                found[name, figure] = (row[figure], better, "/" not in figure and ":" not in figure)
    return found


def machines_of(content):
    """{row: machine}, or {"": machine}; a file that does not tell has none."""
    if not isinstance(content, dict):
        return {}
    if "machine" in content:
        return {"": content["machine"]}
    return {name: row.get("machine") for name, row in content["rows"].items()} if isinstance(content.get("rows"), dict) else {}


def fallen(old, new, benchmark):
    """Lines on what is worse in `new` by more than WORSE."""
    lines, before, after = [], figures_of(old, benchmark), figures_of(new, benchmark)
    old_machines, new_machines = machines_of(old), machines_of(new)
    for (row, figure), (value, better, of_the_machine) in after.items():
        if (row, figure) not in before:
            continue
        stored = before[row, figure][0]
        machine = old_machines.get(row, old_machines.get("")), new_machines.get(row, new_machines.get(""))
        if of_the_machine and machine[0] != machine[1]:
            continue
        worse = value > stored * (1 + WORSE) if better == "lower" else value < stored / (1 + WORSE)
        if worse:
            change = f", {value / stored:.2f} of it" if stored else ""
            lines.append(f"{row}: {figure} {stored:g} -> {value:g} ({better} is better{change})")
    return lines


def stored(file, ref):
    """What `ref` has as bench/FILE; None when it has none."""
    said = subprocess.run(["git", "show", f"{ref}:bench/{file}"], cwd=ROOT, capture_output=True, text=True)
    return json.loads(said.stdout) if said.returncode == 0 else None


def compare(ref):
    """Prints the figures that fell against those of a commit; how many."""
    count = 0
    for file in sorted({file for benchmark in BENCHMARKS for file in benchmark.writes}):
        path, old = ROOT / "bench" / file, stored(file, ref)
        if old is None or not path.exists():
            continue
        for line in fallen(old, json.loads(path.read_text()), owner(file)):
            print(f"fell: bench/{file}: {line}")
            count += 1
    if count == 0:
        print(f"no figure is more than {WORSE:.0%} worse than that of {ref}")
    return count


# ---- Running

def command_of(benchmark, args, work):
    words = benchmark.command.format(rounds=args.rounds, peers=args.peers_python, mox=BUILD / "bin/mox", s5cmd=s5cmd_of(args.peers_python),
                                     gateway=SERVERS / "versitygw", work=work).split()
    words = [f"--out={ROOT}/bench/{word.removeprefix('--out=')}" if word.startswith("--out=") else word for word in words]
    program = str(ROOT / "bench" / words[0])
    return [*([] if program.endswith(".sh") else [sys.executable]), program, *words[1:]]


def run(benchmark, args):
    """Whether it ended well."""
    with tempfile.TemporaryDirectory(dir=args.work_folder) as work:
        command, begin = command_of(benchmark, args, work), time.monotonic()
        print(f"{benchmark.name}: {' '.join(command)}", flush=True)
        code = subprocess.run(command, cwd=ROOT, env={"MOX_BENCH_PATIENCE": str(args.patience), **os.environ}).returncode
    print(f"{benchmark.name}: {'done' if code == 0 else f'FAILED with {code}'} after {(time.monotonic() - begin) / 60:.1f} min", flush=True)
    return code == 0


def tell(chosen, args):
    total = 0
    for benchmark in chosen:
        missing, minutes = what_is_missing(benchmark, args), benchmark.minutes * (args.rounds if "{rounds}" in benchmark.command else 1)
        total += 0 if missing else minutes
        print(f"{benchmark.name:16} {minutes:5.0f} min  {' '.join(benchmark.writes)}" + (f"\n{'':16} left out: {missing}" if missing else ""))
    print(f"{'all':16} {total:5.0f} min with {args.rounds} rounds")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of benchmarks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers_python", default=sys.executable, help="a Python with bench/requirements.txt, when this one has it not")
    parser.add_argument("--patience", type=float, default=60, help="so long each run waits for a quiet machine")
    parser.add_argument("--work_folder", default="/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir(), help="a tmpfs with 8 GiB free")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--against", default="HEAD", help="the commit with the stored figures")
    args = parser.parse_args(arguments)
    names = args.only.split(",") if args.only else []
    if unknown := [name for name in names if name not in {benchmark.name for benchmark in BENCHMARKS}]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(benchmark.name for benchmark in BENCHMARKS)}")
    chosen = [benchmark for benchmark in BENCHMARKS if not names or benchmark.name in names]
    if args.list:
        tell(chosen, args)
        return 0
    failed = []
    if not args.compare:
        for benchmark in chosen:
            if missing := what_is_missing(benchmark, args):
                print(f"{benchmark.name}: left out: {missing}", flush=True)
                failed += [benchmark.name] if names else []
            elif not run(benchmark, args):
                failed.append(benchmark.name)
    count = compare(args.against)
    if not args.compare:
        subprocess.run([sys.executable, str(ROOT / "docs/benchmarks_tables.py")], check=True)
    if failed:
        print(f"did not run: {', '.join(failed)}")
    return 2 if failed else 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
