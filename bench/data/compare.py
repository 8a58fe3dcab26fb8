"""Images a second of MoXing's data sets against what users have, in turn in one call. Writes results.json (see results.py).

  .venv/bin/python bench/data/compare.py [--runs=3] [--rows=disk bytes,…] [--peers_python=PYTHON] [--dali_python=PYTHON]
      [--ffcv_python=PYTHON] [--photos=DIR] [--data=DIR] [--output=bench/data/results.json]

Rows: bytes, decoded (224x224, nearest neighbour) and tfrecord, from local disk and from an object store (versitygw). Ours on
the disk's rows is there twice: `mox`, and `mox_cached`, which reads the store with a cache (the second epoch); `mox_cached_pixels` is that
with pixels in the cache. Peers: tf.data
and PyTorch's DataLoader on local files, s3torchconnector on the store. `limit`: TensorFlow's libjpeg-turbo on one core with the
files in memory, to compare with our images a CPU second. Build with -DMOX_BUILD_BENCH=ON.

Rows with augmentation: vgg, inception (TRAIN), vgg_eval, inception_eval, and, from disk, tfrecord_ before each. With --separate
`mox_separate` is ours with the operations one after the other. Peers beside those: DALI on the CPU, and FFCV on a file of its own, as its
writer makes it (`ffcv`) and with the same bytes as the files (`ffcv_kept`). `limit` is libjpeg-turbo decoding the rows and columns that
the crops need, and nothing else; `entropy`, where there is augmentation, its entropy decoding of whole files alone.
"""
import argparse
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results, module_version  # noqa: E402

BIN = BUILD / "bin"
SERVERS = pathlib.Path(os.environ.get("MOX_SERVERS") or pathlib.Path.home() / ".cache/moxing/servers")
KINDS = ("bytes", "decoded", "tfrecord")
NAMES = {"bytes": "bytes", "decoded": "images"}  # of mox bench data
AUGMENTED = ("vgg", "inception", "vgg_eval", "inception_eval")
FIGURES = {"images_per_second": "higher", "cpu_seconds": "lower", "images_per_cpu_second": "higher", "mib_over_start": "lower"}
OF_FFCV = ("inception", "vgg_eval")  # what it has operations for
FFCV = {"ffcv": "again", "ffcv_kept": "kept"}  # how its file was written
WORKERS = {"torch": (2, 4), "dali": (2, 4), "ffcv": (2,), "s3torchconnector": (2, 4, 8, 16, 32)}


class Store:
    """A versitygw with an empty bucket `bench`."""

    def __init__(self, root):
        (root / "bench").mkdir(parents=True, exist_ok=True)
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


def make_data(folder, photos):
    images, records = folder / "images", folder / "records"
    if photos:
        subprocess.run(["cp", "-r", photos, str(images)], check=True)
    else:
        subprocess.run([sys.executable, str(HERE / "make_photos.py"), str(images)], check=True, env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2"))
    subprocess.run([str(BIN / "mox"), "data", "convert", str(images), str(records), "--num_shards=8"], check=True,
                   stdout=subprocess.DEVNULL)
    return images, records


def upload(folders, store):
    """Through the store: files that are only put into its folder have no ETag, which s3torchconnector refuses."""
    for folder in folders:
        subprocess.run([str(BIN / "mox"), "file", "cp", "-r", str(folder), f"s3://bench/{folder.name}"], check=True,
                       env=dict(os.environ, **store.env), stderr=subprocess.DEVNULL)


def augmented(kind):
    return kind.removeprefix("tfrecord_") in AUGMENTED


def ours(who, kind, base, env, cached=None):
    """`mox bench data`, one row of it."""
    def read(text, folder):
        report = json.loads(text[text.index("{"):])  # behind the names of the rows
        (row,) = report["rows"]
        return {"images": row["images"], "images_per_second": row["images_per_second"], "images_per_cpu_second": row["images_per_cpu_second"],
                "mib_over_start": row["peak_mib"] - report["setup"]["mib_before"]}

    records, family = kind.startswith("tfrecord"), kind.removeprefix("tfrecord_")
    row = ("tfrecord" if records else "") + ("_" if records and augmented(kind) else "") + ("augmented" if augmented(kind) else "")
    words = [f"--tfrecord_url={base}/records" if records else f"--data_url={base}/images", f"--rows={row or NAMES[kind]}"]
    if augmented(kind):
        words += [f"--preprocessing_name={family.removesuffix('_eval')}", f"--mode={'EVAL' if family.endswith('_eval') else 'TRAIN'}"]
    if cached:
        words += ["--cache_dir=cache", f"--caches={cached}"]
    return Contender(who, [BIN / "mox", "bench", "data", *words, "--json"], env=env, read=read)


def limit(kind, images):
    family = kind.removeprefix("tfrecord_")
    return Contender("limit", [BIN / "window_jpeg", family, images] if family in AUGMENTED else [BIN / "raw_jpeg", images], "one core")


def contenders(place, kind, folder, store, peers_python, dali_python, ffcv_python, separate):
    def peer(who, program, python, setting, *where, env=None):
        return Contender(who, [python, HERE / "peers.py", program, kind, setting, *where], setting, env or {})

    images, records, s3 = folder / "images", folder / "records", "s3://bench"
    if place == "disk":
        yield ours("mox", kind, folder, {})
        if augmented(kind) and separate:
            yield ours("mox_separate", kind, folder, {"MOX_FUSE_AUGMENT": "0"})
        for setting in ("ops", "crop") if augmented(kind) else ("autotune",):
            yield peer("tf.data", "tf", sys.executable, setting, images, records)
        if not kind.startswith("tfrecord"):
            yield from (peer("torch", "torch", peers_python, f"workers={n}", images) for n in WORKERS["torch"])
        if dali_python and kind in AUGMENTED:
            yield from (peer("dali", "dali", dali_python, f"threads={n}", images) for n in WORKERS["dali"])
        if ffcv_python and kind in OF_FFCV:
            yield from (peer(who, "ffcv", ffcv_python, f"workers={n}", folder / f"{how}.beton") for who, how in FFCV.items() for n in WORKERS["ffcv"])
        yield ours("mox_cached", kind, s3, store.env, cached="encoded")
        if not kind.startswith("tfrecord") and kind != "bytes":
            yield ours("mox_cached_pixels", kind, s3, store.env, cached="decoded")
    else:
        yield ours("mox", kind, s3, store.env)
        if not kind.startswith("tfrecord"):
            yield from (peer("s3torchconnector", "s3", peers_python, f"workers={n}", f"{s3}/images", env=store.env)
                        for n in ((4, 16) if augmented(kind) else WORKERS["s3torchconnector"]))
    if kind != "bytes":
        yield limit(kind, images)
    if augmented(kind):
        yield Contender("entropy", [BIN / "window_jpeg", "entropy", images], "one core")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", default=",".join([f"{place} {kind}" for place in ("disk", "store") for kind in KINDS] +
                                                       [f"disk {record}{kind}" for record in ("", "tfrecord_") for kind in AUGMENTED] +
                                                       [f"store {kind}" for kind in AUGMENTED]))
    parser.add_argument("--data", help="a folder where what is read is made, and kept for the next call; default: one for this call alone")
    parser.add_argument("--photos", help="the photographs, when they are made already")
    parser.add_argument("--peers_python", default=sys.executable, help="a Python with bench/requirements.txt, when this one has it not")
    parser.add_argument("--dali_python", help="a Python with nvidia-dali, for the rows with augmentation; without it DALI is left out")
    parser.add_argument("--separate", action="store_true", help="also ours with the operations one after the other")
    parser.add_argument("--ffcv_python", help="a Python with ffcv and torchvision, likewise")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the store ends too
    results = Results(args.output, "data", FIGURES, server=module_version(SERVERS / "versitygw"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(args.data or name)
        is_made = (folder / "made").exists()
        images, records = (folder / "images", folder / "records") if is_made else make_data(folder, args.photos)
        store = Store(folder / "store")
        try:
            if not is_made:
                upload((images, records), store)
            for how in FFCV.values() if args.ffcv_python and not is_made else ():
                subprocess.run([args.ffcv_python, str(HERE / "peers.py"), "ffcv", "write", how, str(folder / f"{how}.beton"), str(images)],
                               check=True, stderr=subprocess.DEVNULL)
            (folder / "made").touch()
            for row in filter(None, args.rows.split(",")):
                results.row(row, list(contenders(*row.split(), folder, store, args.peers_python, args.dali_python, args.ffcv_python,
                                                 args.separate)), args.runs, photographs=sum(1 for _ in images.rglob("*.jpg")))
        finally:
            store.close()


main()
