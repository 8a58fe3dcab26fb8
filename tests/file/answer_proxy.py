"""A proxy in this process whose answers a test writes: what stores, and what stands before them, may say.

    proxy = AnswerProxy(store.port)
    proxy.edit = lambda answer: answer.replace(body=b"<html>") if answer.method == "PUT" else answer
"""
import dataclasses
import http.client
import http.server
import socketserver
import threading
from dataclasses import dataclass, field

import stores


@dataclass
class Answer:
    method: str
    path: str  # with the query
    request: dict  # headers, names in lower case
    sent: bytes  # the request's body
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    length: str | None = "right"  # the Content-Length: "right", a text, or None for none
    chunked: bool = False
    cut: int | None = None  # the connection is closed after so many bytes of the head

    def replace(self, **changes):
        return dataclasses.replace(self, **changes)

    def without(self, *names):
        return self.replace(headers={n: v for n, v in self.headers.items() if n.lower() not in names})


class AnswerProxy:
    def __init__(self, upstream):
        self.upstream, self.port = upstream, stores.free_port()
        self.edit = lambda answer: answer
        self.before = lambda answer: None  # an Answer that is given without asking the store; None: ask it
        self.seen = []  # (method, path) of what came
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def handle_any(self):
                proxy.serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler):
        sent = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Answer(handler.command, handler.path, {n.lower(): v for n, v in handler.headers.items()}, sent)
        self.seen.append((asked.method, asked.path))
        answer = self.before(asked) or self.edit(self.ask(asked))
        self.send(handler, answer)

    def ask(self, asked):
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream)
        connection.request(asked.method, asked.path, asked.sent or None, {n: v for n, v in asked.request.items() if n != "connection"})
        got = connection.getresponse()
        headers = {n: v for n, v in got.getheaders() if n.lower() not in ("transfer-encoding", "connection", "server")}
        body = got.read()
        connection.close()
        length = headers.pop("Content-Length", headers.pop("content-length", "right")) if asked.method == "HEAD" else "right"
        return asked.replace(status=got.status, headers={n: v for n, v in headers.items() if n.lower() != "content-length"}, body=body,
                             length=length)

    @staticmethod
    def send(handler, answer):
        head = f"HTTP/1.1 {answer.status} X\r\n" + "".join(f"{n}: {v}\r\n" for n, v in answer.headers.items())
        body = b"" if answer.method == "HEAD" else answer.body
        if answer.chunked and answer.method != "HEAD":
            head += "Transfer-Encoding: chunked\r\n"
            body = b"".join(b"%x\r\n%b\r\n" % (len(body[i:i + 1000]), body[i:i + 1000]) for i in range(0, len(body), 1000)) + b"0\r\n\r\n"
        elif answer.length == "right":
            head += f"Content-Length: {len(body)}\r\n"
        elif answer.length is not None:
            head += f"Content-Length: {answer.length}\r\n"
        if answer.length is None or answer.cut is not None:
            handler.close_connection = True
        data = head.encode("latin-1") + b"\r\n" + body
        handler.wfile.write(data if answer.cut is None else data[:answer.cut])
