#!/usr/bin/env python3
"""The least that a client can do for one large object: threads receive ranges and write them; nothing is checked.

Its CPU time is nearly all in the kernel (a copy out of the socket, a copy into the file), so that it bounds what any client of this
kind needs. s5cmd.py runs it beside the others. Usage: least_client.py PORT BYTES FILE; prints the CPU seconds."""
import datetime
import hashlib
import hmac
import os
import resource
import socket
import sys
import threading

THREADS, PART, BLOCK = 8, 32 << 20, 256 << 10


def request(port, first, last):
    """GET of a range of s3://bench/large, signed (AWS Signature Version 4)."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    headers = {"host": f"127.0.0.1:{port}", "range": f"bytes={first}-{last}", "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now}
    names = ";".join(headers)
    canonical = "GET\n/bench/large\n\n" + "".join(f"{k}:{v}\n" for k, v in headers.items()) + f"\n{names}\nUNSIGNED-PAYLOAD"
    key = b"AWS4SK"
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential=AK/{scope}, SignedHeaders={names}, "
                                f"Signature={hmac.digest(key, text.encode(), 'sha256').hex()}")
    return ("GET /bench/large HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()


def main():
    port, size, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    parts, writing = list(range(0, size, PART)), threading.Lock()

    def work():
        connection = socket.create_connection(("127.0.0.1", port))
        block = memoryview(bytearray(BLOCK))
        while True:
            try:
                at = parts.pop()
            except IndexError:
                return
            end = min(at + PART, size)
            connection.sendall(request(port, at, end - 1))
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1)
            assert b" 206 " in head, head
            while at < end:
                got = connection.recv_into(block, min(BLOCK, end - at), socket.MSG_WAITALL)
                with writing:  # writers of one file on tmpfs wait for each other spinning
                    os.pwrite(file, block[:got], at)
                at += got

    begin = resource.getrusage(resource.RUSAGE_SELF)
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    end = resource.getrusage(resource.RUSAGE_SELF)
    print(end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime)


main()
