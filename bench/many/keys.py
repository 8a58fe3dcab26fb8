#!/usr/bin/env python3
"""Listing 1,000,000 keys of a store: `mox file ls -r` and s5cmd, and a data set's metadata over them. Writes results.json (see bench/results.py).

  bench/many/keys.py [--s5cmd=PROGRAM] [--runs=3] [--keys=1000000] [--delays_ms=0,20] [--output=bench/many/results.json]

The store answers ListObjectsV2 from memory, each page made once, so that it is not what is measured; `least` is a client that asks for the pages
and drops them. With a delay it waits so long before each answer, as a store behind a network does.
"""
import argparse
import datetime
import http.client
import http.server
import pathlib
import re
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "file"))
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results  # noqa: E402
from s5cmd import real_program  # noqa: E402

FIGURES = {"seconds": "lower", "cpu_seconds": "lower", "peak_mib": "lower", "list_seconds": "lower", "listed_mib": "lower"}
PAGE = 1000  # keys, as S3's limit; and in each folder
WHEN = datetime.datetime(2026, 1, 1).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Store(http.server.BaseHTTPRequestHandler):
    """One bucket: keys CCCC/NNNNNNN, a thousand in each folder."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    keys, delay, pages = 0, 0.0, {}

    def log_message(self, *args):
        pass

    def names_a_key(self):
        """No key can be had, a data set's labels.txt above all."""
        return "/" in urllib.parse.urlsplit(self.path).path.strip("/")

    def do_HEAD(self):
        self.answer(b"", 404 if self.names_a_key() else 200)

    def do_GET(self):
        asked = {name: values[0] for name, values in urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).items()}
        if self.names_a_key():
            return self.answer(b"<Error><Code>NoSuchKey</Code></Error>", 404)
        if "list-type" not in asked:
            return self.answer(b'<?xml version="1.0" encoding="UTF-8"?><LocationConstraint></LocationConstraint>')
        time.sleep(self.delay)
        place = asked.get("prefix", ""), asked.get("delimiter", ""), int(asked.get("continuation-token", 0)), int(asked.get("max-keys", PAGE))
        if place not in self.pages:
            self.pages[place] = self.page(*place)
        self.answer(self.pages[place])

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @classmethod
    def page(cls, prefix, delimiter, token, most):
        folders = cls.keys // PAGE
        if delimiter and not prefix:
            entries, left = range(token, min(token + most, folders)), folders
            body = "".join(f"<CommonPrefixes><Prefix>{i:04d}/</Prefix></CommonPrefixes>" for i in entries)
        else:
            first, left = (int(prefix[:-1]) * PAGE, PAGE) if re.fullmatch(r"\d{4}/", prefix) else (0, 0 if prefix else cls.keys)
            entries = range(token, min(token + most, left))
            body = "".join(f"<Contents><Key>{(first + i) // PAGE:04d}/{first + i:07d}</Key><LastModified>{WHEN}</LastModified>"
                           f"<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>100000</Size><StorageClass>STANDARD</StorageClass></Contents>"
                           for i in entries)
        end = token + len(entries)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>" if end < left else "<IsTruncated>false</IsTruncated>"
        return (f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bench</Name>'
                f"<Prefix>{prefix}</Prefix><Delimiter>{delimiter}</Delimiter><KeyCount>{len(entries)}</KeyCount><MaxKeys>{most}</MaxKeys>{more}{body}"
                "</ListBucketResult>").encode()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(keys):
    """In a process of its own; the delay is what the file descriptor says. Returns the process and its port."""
    process = subprocess.Popen([sys.executable, __file__, "--serve", f"--keys={keys}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def serve_here(keys):
    Store.keys = keys
    server = Server(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        Store.delay = float(line)
        print("set", flush=True)


def least(port):
    """A client that only asks for the pages."""
    connection, token, count = http.client.HTTPConnection("127.0.0.1", port), "", 0
    while True:
        connection.request("GET", "/bench?list-type=2" + (f"&continuation-token={token}" if token else ""))
        body = connection.getresponse().read()
        count += body.count(b"<Contents>")
        found = re.search(rb"<NextContinuationToken>(\d+)<", body[:1000])
        if not found:
            return print(count)
        token = found[1].decode()


def contenders(args, s5cmd, port):
    env = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
           "MOX_SILENT_MODE": "1"}

    def counted(text, folder):
        lines = text.count("\n")
        assert lines in (args.keys, args.keys + args.keys // PAGE), lines  # with the folders, or without
        return {}

    yield Contender("mox", [BUILD / "bin/mox", "file", "ls", "-r", "s3://bench/"], env=env, read=counted)
    if s5cmd:
        yield Contender("s5cmd", [s5cmd, "--endpoint-url", env["AWS_ENDPOINT_URL"], "ls", "s3://bench/*"], env=env, read=counted)
    yield Contender("least", [sys.executable, __file__, f"--least={port}"], read=lambda text, folder: {})


def metadata(args, port):
    code = ("import json, time, moxing.tensorflow as mox; begin = time.monotonic(); "
            "count = mox.ImageClassificationRawMetadata('s3://bench').total_num_samples; "
            f"assert count == {args.keys}; print(json.dumps({{'list_seconds': round(time.monotonic() - begin, 3)}}))")
    return Contender("mox", [sys.executable, "-c", code], env={
        "PYTHONPATH": str(BUILD / "python"), "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--s5cmd", help="left out without it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--delays_ms", default="0,20")
    parser.add_argument("--output", default=HERE / "results.json")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--least", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve_here(args.keys)
    if args.least:
        return least(args.least)
    s5cmd = real_program(args.s5cmd) if args.s5cmd else None
    results = Results(args.output, "many", FIGURES)
    process, port = serve(args.keys)
    try:
        for delay in args.delays_ms.split(","):
            process.stdin.write(f"{float(delay) / 1000}\n")
            process.stdin.flush()
            process.stdout.readline()
            pages = f"{args.keys:,} keys" + (f", {delay} ms a request" if float(delay) else "")
            least(port)  # the pages are made
            results.row(f"list {pages}", list(contenders(args, s5cmd, port)), args.runs)
            if float(delay):
                results.row(f"a data set of {pages}", [metadata(args, port)], args.runs)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
