#!/usr/bin/env python3
"""How much memory a large object needs: written from a pipe, read to a pipe, copied up and copied down by `mox` processes.
The store is a stand-in that counts and drops what it is sent and serves zeros, so that no disk has to hold the object
(but the copy down). Writes memory.json (see bench/results.py); fails when a peak is 100 MiB or more.

Usage: memory.py MOX WORK_FOLDER [--gib=10] [--output=bench/file/memory.json]"""
import argparse
import http.server
import multiprocessing
import os
import pathlib
import re
import shutil
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import Contender, Results  # noqa: E402

BLOCK = 1 << 20
ZEROS = bytes(BLOCK)


class Store(http.server.BaseHTTPRequestHandler):
    """One object of zeros at every key."""
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    object_size = 0
    received, parts, completed = multiprocessing.Value("q", 0), multiprocessing.Value("q", 0), multiprocessing.Value("q", 0)

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), "ETag": '"zeros-1"', "Last-Modified": "Tue, 24 Nov 2026 00:00:00 GMT", **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.answer(200, Content_Length=self.object_size)

    def do_GET(self):
        span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        first, last = int(span[1]), min(int(span[2] or self.object_size), self.object_size - 1)
        self.answer(206, Content_Length=last + 1 - first, Content_Range=f"bytes {first}-{last}/{self.object_size}")
        while first <= last:
            count = min(BLOCK, last + 1 - first)
            self.wfile.write(memoryview(ZEROS)[:count])
            first += count

    def do_PUT(self):
        left, buffer = int(self.headers["Content-Length"]), bytearray(BLOCK)
        with self.received.get_lock():
            self.received.value += left
            self.parts.value += 1
        while left > 0:
            got = self.rfile.readinto(memoryview(buffer)[:min(left, BLOCK)])
            assert got and not buffer.count(1), "the client went away, or sent what it was not given"
            left -= got
        self.answer(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "uploads" in self.path:
            return self.answer(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        self.completed.value = body.count(b"<Part>")
        self.answer(200, b"<CompleteMultipartUploadResult><ETag>zeros-1</ETag></CompleteMultipartUploadResult>")

    def do_DELETE(self):
        self.answer(204)


def serve(port, size):
    Store.object_size = size
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Store).serve_forever()


def sent(size):
    """What the store has of a whole object; it forgets it."""
    assert Store.received.value == size and Store.completed.value == Store.parts.value, (Store.received.value, Store.completed.value)
    parts, Store.received.value, Store.parts.value = Store.parts.value, 0, 0
    return {"parts": parts}


def drained(folder, size):
    for _ in range(100):  # the reader of the pipe ends a little after mox
        count = pathlib.Path(folder, "count")
        if count.exists() and count.read_text():
            break
        time.sleep(0.05)
    assert int(count.read_text()) == size, (count.read_text(), size)
    return {}


def down(path, size):
    assert os.path.getsize(path) == size, path
    os.remove(path)
    return {}


def rows(mox, work, size, env):
    def ours(command, read):  # bash becomes mox, whose peak is read
        return [Contender("mox", ["bash", "-c", command], env=env, read=read)]

    yield "write", ours(f"exec {mox} file cp /dev/stdin s3://bench/large < <(head -c {size} /dev/zero)", lambda text, folder: sent(size))
    yield "read", ours(f"exec {mox} file cat s3://bench/large > >(wc -c > count)", lambda text, folder: drained(folder, size))
    yield "copy_up", ours(f"exec {mox} file cp {work}/up s3://bench/large", lambda text, folder: sent(size))
    if shutil.disk_usage(work).free > size + (8 << 30):
        yield "copy_down", ours(f"exec {mox} file cp s3://bench/large {work}/down", lambda text, folder: down(work + "/down", size))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("mox", "work"):
        parser.add_argument(name)
    parser.add_argument("--gib", type=float, default=10)
    parser.add_argument("--output", default=HERE / "memory.json")
    args = parser.parse_args()
    work, size = os.path.abspath(args.work), int(args.gib * 1024) * BLOCK
    os.makedirs(work)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = multiprocessing.Process(target=serve, args=(port, size), daemon=True)
    server.start()
    time.sleep(1)
    env = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "MOX_SILENT_MODE": "1",
           "MOX_STATE_DIR": work + "/state"}
    results = Results(args.output, "file/memory", {"peak_mib": "lower", "seconds": "lower"}, gib=args.gib)
    try:
        with open(work + "/up", "wb") as f:
            f.truncate(size)
        for name, contenders in rows(os.path.abspath(args.mox), work, size, env):
            results.row(name, contenders, 1)
    finally:
        server.kill()
        shutil.rmtree(work, ignore_errors=True)
    assert max(run["peak_mib"] for row in results.rows.values() for run in row["runs"]) < 100


if __name__ == "__main__":
    main()
