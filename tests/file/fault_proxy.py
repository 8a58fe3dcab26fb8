#!/usr/bin/env python3
"""A proxy that breaks what passes through it. Usage: fault_proxy.py PORT UPSTREAM_PORT

Set with GET /-control?kind=KIND&count=N&method=RE&path=RE[&delay=SECONDS]: the next N requests that match are broken.
GET /-control?report=1 answers with the requests that reached upstream, one "METHOD PATH" a line, and forgets them.
"""
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse

PORT, UPSTREAM = int(sys.argv[1]), int(sys.argv[2])
LOCK = threading.Lock()
FAULT = {"kind": "", "count": 0, "method": ".*", "path": ".*", "delay": 0.0}
SEEN = []


def read_head(stream):
    lines = []
    while True:
        line = stream.readline()
        if not line:
            return None
        if line in (b"\r\n", b"\n"):
            return lines
        lines.append(line.rstrip(b"\r\n"))


def header(lines, name):
    for line in lines[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def take_fault(method, path):
    with LOCK:
        if FAULT["count"] > 0 and re.fullmatch(FAULT["method"], method) and re.search(FAULT["path"], path):
            FAULT["count"] -= 1
            return FAULT["kind"], FAULT["delay"]
    return "", 0.0


def control(client, path):
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
    body = ""
    with LOCK:
        if "report" in query:
            body = "\n".join(SEEN)
            SEEN.clear()
        else:
            FAULT.update(kind=query["kind"], count=int(query.get("count", 1)), method=query.get("method", ".*"),
                         path=query.get("path", ".*"), delay=float(query.get("delay", 0)))
    client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())


def answer_error(client, status, code):
    body = f"<Error><Code>{code}</Code><Message>made by the proxy</Message></Error>".encode()
    client.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)


ERRORS = {"503": (503, "SlowDown"), "429": (429, "TooManyRequests"), "500": (500, "InternalError")}


def serve_one(client, stream):
    """One request. False: the connection is over."""
    lines = read_head(stream)
    if not lines:
        return False
    method, path, _ = lines[0].decode("latin-1").split(" ", 2)
    if path.startswith("/-control"):
        control(client, path)
        return False
    kind, delay = take_fault(method, path)
    length = int(header(lines, b"content-length") or 0)
    if kind == "reset-before":
        reset(client)
        return False
    if kind == "reset-upload":
        stream.read(length // 2)
        reset(client)
        return False
    body = stream.read(length)
    if kind in ERRORS:
        answer_error(client, *ERRORS[kind])
        return True
    if kind == "forgotten":  # as a server that died in the middle: first no answer, then a success that is not true
        with LOCK:
            again = FAULT["count"] == 0
        if again:
            done = b"<CompleteMultipartUploadResult><ETag>&quot;0-4&quot;</ETag></CompleteMultipartUploadResult>"
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(done) + done)
            return True
        reset(client)
        return False
    if kind == "corrupt-upload" and body:
        body = bytes([body[0] ^ 1]) + body[1:]
    if kind == "slow":
        time.sleep(delay)
    return forward(client, lines, body, method, kind, f"{method} {path}")


def forward(client, lines, body, method, kind, seen):
    try:
        upstream = socket.create_connection(("127.0.0.1", UPSTREAM))
    except OSError:
        client.close()
        return False
    with upstream:
        upstream.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = upstream.makefile("rb")
        head = read_head(answer)
        if head is None:
            client.close()
            return False
        if kind == "lost-answer":
            with LOCK:
                SEEN.append(seen)
            reset(client)
            return False
        length = header(head, b"content-length")
        data = b"" if method == "HEAD" or head[0].split(b" ")[1] in (b"204", b"304") else \
            answer.read(int(length)) if length is not None else read_chunks(head, answer)
    with LOCK:
        SEEN.append(seen)
    if length is None:
        head = [l for l in head if not l.lower().startswith(b"transfer-encoding")]
        if method != "HEAD":
            head.append(b"Content-Length: %d" % len(data))
    return send_answer(client, head, data, kind if data and head[0].split(b" ")[1] in (b"200", b"206") else "")


def read_chunks(head, answer):
    if (header(head, b"transfer-encoding") or b"").lower() != b"chunked":
        return b""
    data = b""
    while True:
        size = int(answer.readline().strip() or b"0", 16)
        data += answer.read(size)
        answer.readline()
        if size == 0:
            return data


def with_length(head, length):
    return [b"Content-Length: %d" % length if l.lower().startswith(b"content-length:") else l for l in head]


def send_answer(client, head, data, kind):
    half = len(data) // 2
    if kind == "longer":
        head = with_length(head, len(data) + 10)
    if kind == "shorter":
        head, data = with_length(head, half), data[:half]
    if kind == "corrupt":
        data = data[:half] + bytes([data[half] ^ 1]) + data[half + 1:]
    text = b"\r\n".join(head) + b"\r\n\r\n"
    if kind in ("reset-middle", "truncate", "stall"):
        client.sendall(text + data[:half])
        time.sleep(0.05)  # lets the half arrive before the reset overtakes it
        if kind == "stall":
            client.settimeout(600)
            try:
                client.recv(1)  # until the client has had enough
            except OSError:
                pass
        reset(client) if kind == "reset-middle" else client.close()
        return False
    client.sendall(text + data)
    if kind in ("longer", "shorter"):
        client.close()
        return False
    return True


def serve(client):
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = client.makefile("rb")
        while serve_one(client, stream):
            pass
        stream.close()
        client.close()
    except OSError:
        pass


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", PORT))
listener.listen(128)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
