#!/usr/bin/env python3
"""How much memory a large object needs: written, read and copied down by `mox` processes; the bytes are checked by sum. Writes JSON.

Usage: memory.py MOX VERSITYGW WORK_FOLDER [GIB, default 10]. WORK_FOLDER needs three times the object's size for a while."""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zlib

BLOCK = 1 << 20


def run(command, env, source=None, sink=None):
    """Peak memory in MiB, seconds, and the CRC of what it wrote to standard output."""
    begin = time.monotonic()
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE if source else subprocess.DEVNULL,
                               stdout=subprocess.PIPE if sink else subprocess.DEVNULL)
    crc = 0
    if source:
        for block in source:
            process.stdin.write(block)
        process.stdin.close()
    if sink:
        while data := process.stdout.read(BLOCK):
            crc = zlib.crc32(data, crc)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (command, status)
    return {"seconds": round(time.monotonic() - begin, 1), "peak_mib": usage.ru_maxrss // 1024}, crc


def main():
    mox, gateway, work = sys.argv[1:4]
    blocks = int(float(sys.argv[4] if len(sys.argv) > 4 else 10) * 1024)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work + "/store/bench")
    needed = 3 * blocks * BLOCK + (8 << 30)
    if shutil.disk_usage(work).free < needed:
        sys.exit(f"memory.py: {work} needs {needed >> 30} GiB free")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([gateway, "--port", f"127.0.0.1:{port}", "--access", "AK", "--secret", "SK", "--keep-alive", "--quiet", "posix", work + "/store"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    env = dict(os.environ, AWS_ACCESS_KEY_ID="AK", AWS_SECRET_ACCESS_KEY="SK", AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", MOX_SILENT_MODE="1")
    seed = os.urandom(BLOCK)
    crc = 0

    def content():
        nonlocal crc
        for i in range(blocks):
            block = i.to_bytes(8, "little") + seed[8:]
            crc = zlib.crc32(block, crc)
            yield block

    result = {"gib": blocks / 1024}
    try:
        result["write"], _ = run([mox, "file", "cp", "/dev/stdin", "s3://bench/large"], env, source=content())
        result["read"], read_crc = run([mox, "file", "cat", "s3://bench/large"], env, sink=True)
        assert read_crc == crc, "the bytes that came back are others"
        result["copy_down"], _ = run([mox, "file", "cp", "s3://bench/large", work + "/large"], env)
        assert os.path.getsize(work + "/large") == blocks * BLOCK
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(result, indent=1))
    assert max(result[name]["peak_mib"] for name in ("write", "read", "copy_down")) < 100


if __name__ == "__main__":
    main()
