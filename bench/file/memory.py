#!/usr/bin/env python3
"""How much memory a large object needs: written from a pipe, read to a pipe, copied up and copied down by `mox` processes.
The store is a stand-in that counts and drops what it is sent and serves zeros, so that no disk has to hold the object
(but the copy down). Writes JSON; fails when a peak is 100 MiB or more.

Usage: memory.py MOX WORK_FOLDER [GIB, default 10]"""
import http.server
import json
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import time

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


def run(command, env, feed=0, drain=0):
    """Peak memory (at least what this script held when it started the process: about 20 MiB) and seconds of a process that is
    fed, or that writes, so many bytes."""
    begin = time.monotonic()
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                               stdout=subprocess.PIPE if drain else subprocess.DEVNULL, bufsize=0)
    for _ in range(feed // BLOCK):
        process.stdin.write(ZEROS)
    if feed:
        process.stdin.close()
    buffer = bytearray(BLOCK)
    while drain > 0 and (got := process.stdout.readinto(buffer)):
        drain -= got
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0 and drain == 0, (command, status, drain)
    return {"seconds": round(time.monotonic() - begin, 1), "peak_mib": round(usage.ru_maxrss / 1024, 1)}


def sent(size):
    assert Store.received.value == size and Store.completed.value == Store.parts.value, (Store.received.value, Store.completed.value)
    parts, Store.received.value, Store.parts.value = Store.parts.value, 0, 0
    return {"parts": parts}


def main():
    mox, work = sys.argv[1:3]
    gib = float(sys.argv[3] if len(sys.argv) > 3 else 10)
    size = int(gib * 1024) * BLOCK
    os.makedirs(work)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = multiprocessing.Process(target=serve, args=(port, size), daemon=True)
    server.start()
    time.sleep(1)
    env = dict(os.environ, AWS_ACCESS_KEY_ID="AK", AWS_SECRET_ACCESS_KEY="SK", AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", MOX_SILENT_MODE="1",
               MOX_STATE_DIR=work + "/state")
    result = {"gib": gib}
    try:
        result["write"] = {**run([mox, "file", "cp", "/dev/stdin", "s3://bench/large"], env, feed=size), **sent(size)}
        result["read"] = run([mox, "file", "cat", "s3://bench/large"], env, drain=size)
        with open(work + "/up", "wb") as f:
            f.truncate(size)
        result["copy_up"] = {**run([mox, "file", "cp", work + "/up", "s3://bench/large"], env), **sent(size)}
        if shutil.disk_usage(work).free > size + (8 << 30):
            result["copy_down"] = run([mox, "file", "cp", "s3://bench/large", work + "/down"], env)
            assert os.path.getsize(work + "/down") == size
    finally:
        server.kill()
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(result, indent=1))
    assert max(row["peak_mib"] for row in result.values() if isinstance(row, dict)) < 100


if __name__ == "__main__":
    main()
