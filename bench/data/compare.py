"""The manual's benchmark: 3,671 images, 222 MB, read as bytes, decoded, and decoded from TFRecord.

From local disk, and from an object store on this machine without and with a cache (its second epoch). What users have
today on the same files in the same run: tf.data, PyTorch's DataLoader with torchvision, s3torchconnector. Sides take
turns; of `--rounds` runs the fastest counts. One JSON line a row, then a table.
Usage: compare.py --photos DIR --build BUILD_DIR --server VERSITYGW --peers-python PYTHON [--rounds N] [--rows ROW,ROW]
"""
import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
KEYS = ("bench", "bench-secret")


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=pathlib.Path, required=True, help="what make_photos.py wrote")
    parser.add_argument("--build", type=pathlib.Path, required=True, help="build folder with bench/ and the program")
    parser.add_argument("--server", required=True, help="versitygw")
    parser.add_argument("--peers-python", required=True, help="a Python with torch, torchvision and s3torchconnector")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default="bytes,decoded,tfrecord")
    return parser.parse_args()


def lines_of(command, environment):
    done = subprocess.run([str(part) for part in command], env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(f"failed: {' '.join(map(str, command))}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Store:
    """versitygw over a copy (by links) of the photographs and their TFRecord files."""

    def __init__(self, server, root):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(
            [server, "--port", f"127.0.0.1:{self.port}", "--access", KEYS[0], "--secret", KEYS[1], "--keep-alive", "--quiet",
             "posix", str(root)], stdout=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit("versitygw does not answer")

    def environment(self):
        return {**os.environ, "AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1], "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "TF_CPP_MIN_LOG_LEVEL": "2"}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def one_round(args, work, environment):
    bench = args.build / "bench" / "data"
    bench = bench if (bench / "data_bench").exists() else next(args.build.rglob("data_bench")).parent
    rows = lines_of([bench / "raw_jpeg", args.photos], environment)
    for row in args.rows.split(","):
        local = work / "bucket" / ("records" if row == "tfrecord" else "images")
        remote = f"s3://bucket/{local.name}"
        for place, url, cached in (("disk", local, False), ("store", remote, False), ("store, cached", remote, True)):
            command = [bench / "data_bench", row, url] + ([work / "cache"] if cached else [])
            rows += [{**line, "place": place} for line in lines_of(command, environment)]
    peers = HERE / "peers.py"
    rows += [{**line, "place": "disk"} for line in
             lines_of([args.peers_python, peers, "torch", work / "bucket" / "images"], environment)]
    rows += [{**line, "place": "store"} for line in
             lines_of([args.peers_python, peers, "s3", "s3://bucket/images/"], environment)]
    rows += [{**line, "place": "disk"} for line in
             lines_of([sys.executable, peers, "tf", work / "bucket" / "images", work / "bucket" / "records"], environment)]
    return rows


def report(all_rows):
    best = {}
    for row in all_rows:
        key = (row["row"], row.get("place", "memory"), row["who"])
        if key not in best or row["images_per_s"] > best[key]["images_per_s"]:
            best[key] = row
    print(f"{'row':10} {'from':14} {'who':24} images/s  a CPU second  MiB")
    for (row, place, who), line in sorted(best.items()):
        print(f"{row:10} {place:14} {who:24} {line['images_per_s']:8.0f} {line.get('images_per_cpu_s', 0):13.0f}"
              f"  {line.get('max_rss_mib', '')}")


def main():
    args = options()
    work = pathlib.Path(tempfile.mkdtemp(prefix="mox-bench-", dir=args.photos.parent))
    try:
        (work / "bucket").mkdir()
        shutil.copytree(args.photos, work / "bucket" / "images", copy_function=os.link)
        program = next(path for path in args.build.rglob("mox") if path.is_file() and os.access(path, os.X_OK))
        subprocess.run([program, "data", "convert", args.photos, work / "bucket" / "records", "--num_shards", "8"], check=True,
                       stdout=subprocess.DEVNULL)
        store = Store(args.server, work)
        try:
            rows = []
            for _ in range(args.rounds):
                fresh = one_round(args, work, store.environment())
                for row in fresh:
                    print(json.dumps(row), flush=True)
                rows += fresh
        finally:
            store.stop()
        report(rows)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
