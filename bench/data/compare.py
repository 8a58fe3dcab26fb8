"""Images a second of MoXing's data sets against what users have, in turn in one call. Prints JSON.

  .venv/bin/python bench/data/compare.py [--runs=3] [--torch_python=PYTHON] [--photos=DIR] [--output=bench/data/results.json]

Rows: bytes, decoded (224x224, nearest neighbour) and tfrecord, each from local disk, from an object store (versitygw) and
from the store with a cache (the second epoch). Peers: tf.data and PyTorch's DataLoader on local files, s3torchconnector on
the store. `limit`: libjpeg-turbo on one core with the files in memory. Build with -DMOX_BUILD_BENCH=ON.
"""
import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = ROOT / "build/release/bin"
SERVERS = pathlib.Path(os.environ.get("MOX_SERVERS") or pathlib.Path.home() / ".cache/moxing/servers")
ROWS = ("bytes", "decoded", "tfrecord")


def lines_of(command, env=None):
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                             env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2", **(env or {})))
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{process.stderr[-3000:]}")
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


class Store:
    """A versitygw with an empty bucket `bench`."""

    def __init__(self, root):
        (root / "bench").mkdir(parents=True)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.env = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_REGION": "us-east-1",
                    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        self.process = subprocess.Popen(
            [str(SERVERS / "versitygw"), "--port", f"127.0.0.1:{port}", "--access", "AK", "--secret", "SK",
             "--keep-alive", "--quiet", "posix", str(root)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("versitygw does not listen")

    def close(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def alone(path):
    """Holds the lock that others on this machine take for their builds and measurements."""
    if not path:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_data(folder, photos):
    images, records = folder / "images", folder / "records"
    if photos:
        subprocess.run(["cp", "-r", photos, str(images)], check=True)
    else:
        lines_of([sys.executable, str(HERE / "make_photos.py"), str(images)])
    subprocess.run([str(BIN / "mox"), "data", "convert", str(images), str(records), "--num_shards=8"], check=True,
                   stdout=subprocess.DEVNULL)
    return images, records


def upload(folders, store):
    """Through the store: files that are only put into its folder have no ETag, which s3torchconnector refuses."""
    for folder in folders:
        subprocess.run([str(BIN / "mox"), "file", "cp", "-r", str(folder), f"s3://bench/{folder.name}"], check=True,
                       env=dict(os.environ, **store.env), stderr=subprocess.DEVNULL)


def one_round(folder, images, records, store, torch_python):
    """(place, row, who) -> result; contenders alternate, so that other load on the machine meets all."""
    result = {}
    result["memory", "decode", "limit"] = lines_of([str(BIN / "raw_jpeg"), str(images)])[0]

    def ours(place, row, *cache):
        base = f"s3://bench/{'records' if row == 'tfrecord' else 'images'}" if place != "disk" else str(
            records if row == "tfrecord" else images)
        result[place, row, "moxing"] = lines_of([str(BIN / "data_bench"), row, base, *cache],
                                                store.env if place != "disk" else None)[0]

    for row in ROWS:
        ours("disk", row)
    for line in lines_of([sys.executable, str(HERE / "peers.py"), "tf", str(images), str(records)]):
        result["disk", line["row"], "tf.data"] = line
    for line in lines_of([torch_python, str(HERE / "peers.py"), "torch", str(images)]):
        result["disk", line["row"], "torch"] = line
    for row in ROWS:
        ours("store", row)
    for line in lines_of([torch_python, str(HERE / "peers.py"), "s3", "s3://bench/images"], store.env):
        result["store", line["row"], "s3torchconnector"] = line
    for row in ROWS:
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            ours("cached", row, cache)
    result["memory", "decode", "limit again"] = lines_of([str(BIN / "raw_jpeg"), str(images)])[0]
    return result


def summary(rounds):
    median = {}
    for key in rounds[0]:
        numbers = [r[key] for r in rounds]
        median[key] = {name: statistics.median(n[name] for n in numbers)
                       for name in ("images_per_s", "images_per_cpu_s", "max_rss_mib", "start_rss_mib") if name in numbers[0]}
    limit = statistics.median(r["memory", "decode", who]["images_per_s"] for r in rounds for who in ("limit", "limit again"))
    rows = {}
    for place in ("disk", "store", "cached"):
        for row in ROWS:
            mine = median[place, row, "moxing"]
            # What a user without MoXing has for data that lie there; the cached row's peers read local files.
            peers = {who: m["images_per_s"] for (p, r, who), m in median.items()
                     if r == row and who != "moxing" and p == ("disk" if place == "cached" else place)}
            entry = dict(mine, peers=peers)
            if peers:
                entry["ratio_to_best_peer"] = round(mine["images_per_s"] / max(peers.values()), 2)
            if row != "bytes":
                entry["per_cpu_second_to_limit"] = round(mine["images_per_cpu_s"] / limit, 2)
            rows[f"{place} {row}"] = entry
    return {"limit_images_per_s_per_core": limit, "rows": rows}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--photos", help="the photographs, when they are made already")
    parser.add_argument("--output", help="file that has the result after each round")
    parser.add_argument("--lock", help="file that is locked while a round is measured")
    parser.add_argument("--torch_python", default=sys.executable, help="a Python that has PyTorch, when this one has not")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the store ends too
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        images, records = make_data(folder, args.photos)
        store = Store(folder / "store")
        try:
            upload((images, records), store)
            rounds = []
            for i in range(args.runs):
                with alone(args.lock):
                    rounds.append(one_round(folder, images, records, store, args.torch_python))
                print(f"round {i + 1}: " + json.dumps({" ".join(k): v["images_per_s"] for k, v in rounds[-1].items()}),
                      file=sys.stderr, flush=True)
                text = json.dumps({"runs": len(rounds), "cores": os.cpu_count(), **summary(rounds)}, indent=1)
                if args.output:
                    pathlib.Path(args.output).write_text(text + "\n")
        finally:
            store.close()
    print(text)


main()
