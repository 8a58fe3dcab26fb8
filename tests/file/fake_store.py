#!/usr/bin/env python3
"""An object store in memory, for what the real ones on a disk cannot hold or do not offer: a file beside a folder of one
name, keys such as "../x", a million keys (bucket "million"), and Huawei's append. Usage: fake_store.py PORT"""
import hashlib
import http.server
import re
import socketserver
import sys
import threading
import time
import urllib.parse
from email.utils import formatdate
from xml.sax.saxutils import escape

MILLION = 1_000_000


class Store:
    def __init__(self):
        self.lock = threading.RLock()
        self.buckets = {}  # name -> {key: (data, etag, time, headers, appendable)}
        self.uploads = {}  # id -> (bucket, key, headers, {number: data})
        self.next_id = 0
        self.begun = {}  # id of an upload -> time


STORE = Store()


def stamp(when):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when))


def etag_of(data):
    return hashlib.md5(data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: two would wait for each other's acknowledgement
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=None):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("x-amz-request-id", "fake-request")
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, message=""):
        self.answer(status, f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{escape(message)}</Message>"
                            "<RequestId>fake-request</RequestId></Error>")

    def handle_any(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        path = urllib.parse.unquote(parts.path, errors="surrogateescape")
        bucket, _, key = path[1:].partition("/")
        host = self.headers.get("Host", "")
        virtual = re.match(r"(?!obs\.)([a-z0-9-]+)\.localhost(:\d+)?$", host)
        if virtual:
            bucket, key = virtual.group(1), path[1:]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with STORE.lock:
            if bucket == "million":
                return self.list_million(query)
            if key:
                return self.on_object(bucket, key, query, body)
            return self.on_bucket(bucket, query, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def on_bucket(self, bucket, query, body):
        if self.command == "PUT":
            STORE.buckets.setdefault(bucket, {})
            return self.answer(200)
        if bucket not in STORE.buckets:
            return self.error(404, "NoSuchBucket")
        objects = STORE.buckets[bucket]
        if self.command == "HEAD":
            return self.answer(200)
        if self.command == "DELETE":
            if objects:
                return self.error(409, "BucketNotEmpty")
            del STORE.buckets[bucket]
            return self.answer(204)
        if self.command == "POST" and "delete" in query:
            for key in re.findall(r"<Key>(.*?)</Key>", body.decode("utf-8", "surrogateescape"), re.S):
                objects.pop(key.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&"), None)
            return self.answer(200, "<DeleteResult></DeleteResult>")
        if "uploads" in query:
            found = "".join(f"<Upload><Key>{escape(k)}</Key><UploadId>{i}</UploadId><Initiated>{stamp(STORE.begun[i])}</Initiated></Upload>"
                            for i, (b, k, _, _) in STORE.uploads.items() if b == bucket and k.startswith(query.get("prefix", "")))
            return self.answer(200, f"<ListMultipartUploadsResult>{found}</ListMultipartUploadsResult>")
        return self.list(sorted(objects, key=lambda k: k.encode("utf-8", "surrogateescape")), objects, query)

    def list(self, keys, objects, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("marker") or ""
        most = int(query.get("max-keys", 1000))
        quote = (lambda k: urllib.parse.quote_plus(k.encode("utf-8", "surrogateescape"), safe="/")) \
            if query.get("encoding-type") == "url" else escape
        contents, prefixes, last, truncated = [], [], "", False
        for key in keys:
            if not key.startswith(prefix) or (after and (key <= after or (after.endswith("/") and delimiter and key.startswith(after)))):
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key[:cut + 1] if cut >= 0 else key
            if prefixes and name == prefixes[-1]:
                continue
            if len(contents) + len(prefixes) == most:
                truncated = True
                break
            last = name
            if cut >= 0:
                prefixes.append(name)
            else:
                data, etag, when = objects[key][:3]
                contents.append(f"<Contents><Key>{quote(key)}</Key><Size>{len(data)}</Size><ETag>&quot;{etag}&quot;</ETag>"
                                f"<LastModified>{stamp(when)}</LastModified></Contents>")
        text = "<ListBucketResult>" + ("<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else "")
        text += f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>" + "".join(contents)
        text += "".join(f"<CommonPrefixes><Prefix>{quote(p)}</Prefix></CommonPrefixes>" for p in prefixes)
        if truncated:
            text += f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if "list-type" in query else \
                    f"<NextMarker>{quote(last)}</NextMarker>"
        self.answer(200, text + "</ListBucketResult>")

    def list_million(self, query):
        if self.command == "HEAD":
            return self.answer(200)
        start = int(query.get("continuation-token") or 0)
        end = min(start + int(query.get("max-keys", 1000)), MILLION)
        text = "<ListBucketResult><IsTruncated>%s</IsTruncated>" % ("true" if end < MILLION else "false")
        text += "".join(f"<Contents><Key>k{i:07d}</Key><Size>1</Size></Contents>" for i in range(start, end))
        self.answer(200, text + f"<NextContinuationToken>{end}</NextContinuationToken></ListBucketResult>")

    def source(self):
        """The object that x-amz-copy-source names, and its bytes in x-amz-copy-source-range."""
        name = urllib.parse.unquote(self.headers["x-amz-copy-source"], errors="surrogateescape").lstrip("/")
        bucket, _, key = name.partition("/")
        found = STORE.buckets.get(bucket, {}).get(key)
        if found is None:
            return None, b""
        data = found[0]
        span = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("x-amz-copy-source-range", ""))
        return found, data[int(span[1]):int(span[2]) + 1] if span else data

    def on_object(self, bucket, key, query, body):
        if bucket not in STORE.buckets:
            return self.error(404, "NoSuchBucket")
        objects = STORE.buckets[bucket]
        meta = {n: v for n, v in self.headers.items() if n.lower().startswith("x-amz-meta-")}
        if "uploadId" in query or "uploads" in query:
            return self.on_upload(objects, bucket, key, query, body, meta)
        if self.command == "POST" and "append" in query:
            return self.append(objects, key, int(query["position"]), body)
        if self.command == "PUT":
            if "x-amz-copy-source" in self.headers:
                found, body = self.source()
                if found is None:
                    return self.error(404, "NoSuchKey")
                meta = found[3]
            objects[key] = (body, etag_of(body), time.time(), meta, False)
            if "x-amz-copy-source" in self.headers:
                return self.answer(200, f"<CopyObjectResult><ETag>&quot;{etag_of(body)}&quot;</ETag></CopyObjectResult>")
            return self.answer(200, headers={"ETag": f'"{etag_of(body)}"'})
        if self.command == "DELETE":
            objects.pop(key, None)
            return self.answer(204)
        if key not in objects:
            return self.error(404, "NoSuchKey", "The specified key does not exist.")
        data, etag, when, meta, _ = objects[key]
        if self.headers.get("If-Match", f'"{etag}"').strip('"') != etag:
            return self.error(412, "PreconditionFailed")
        headers = {"ETag": f'"{etag}"', "Last-Modified": formatdate(when, usegmt=True), **meta}
        span = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        if self.command == "HEAD":
            return self.answer(200, headers={**headers, "Content-Length": str(len(data))})
        if not span:
            return self.answer(200, data, headers)
        first, last = int(span[1]), min(int(span[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return self.error(416, "InvalidRange")
        self.answer(206, data[first:last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def append(self, objects, key, position, body):
        data, _, _, meta, appendable = objects.get(key, (b"", "", 0, {}, True))
        if not appendable:
            return self.error(409, "ObjectNotAppendable")
        if position != len(data):
            return self.answer(409, "<Error><Code>PositionNotEqualToLength</Code></Error>",
                               {"x-obs-next-append-position": str(len(data))})
        objects[key] = (data + body, etag_of(data + body), time.time(), meta, True)
        self.answer(200, headers={"x-obs-next-append-position": str(len(data) + len(body))})

    def on_upload(self, objects, bucket, key, query, body, meta):
        if self.command == "POST" and "uploads" in query:
            STORE.next_id += 1
            upload = f"upload-{STORE.next_id}"
            STORE.uploads[upload] = (bucket, key, meta, {})
            STORE.begun[upload] = time.time()
            return self.answer(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        upload = query.get("uploadId", "")
        if upload not in STORE.uploads:
            return self.error(404, "NoSuchUpload")
        parts = STORE.uploads[upload][3]
        if self.command == "PUT":
            if "x-amz-copy-source" in self.headers:
                _, body = self.source()
            parts[int(query["partNumber"])] = body
            text = f"<CopyPartResult><ETag>&quot;{etag_of(body)}&quot;</ETag></CopyPartResult>" if "x-amz-copy-source" in self.headers else ""
            return self.answer(200, text, {"ETag": f'"{etag_of(body)}"'})
        if self.command == "GET":
            text = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{etag_of(d)}&quot;</ETag><Size>{len(d)}</Size></Part>"
                           for n, d in sorted(parts.items()))
            return self.answer(200, f"<ListPartsResult><IsTruncated>false</IsTruncated>{text}</ListPartsResult>")
        if self.command == "DELETE":
            del STORE.uploads[upload]
            return self.answer(204)
        ordered = [parts[n] for n in sorted(parts)]
        if any(len(d) < 5 << 20 for d in ordered[:-1]):
            return self.error(400, "EntityTooSmall")
        data = b"".join(ordered)
        etag = hashlib.md5(b"".join(hashlib.md5(d).digest() for d in ordered)).hexdigest() + f"-{len(ordered)}"
        objects[key] = (data, etag, time.time(), STORE.uploads.pop(upload)[2], False)
        self.answer(200, f"<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
