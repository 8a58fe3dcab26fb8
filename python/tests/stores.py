"""Object stores on free loopback ports: what every Python test that needs one takes, those under tests/ too."""
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVERS = Path(os.environ.get("MOX_SERVERS") or Path.home() / ".cache/moxing/servers")
ACCESS, SECRET = "AKMOXTEST", "secret-of-the-tests"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Store:
    """versitygw or minio on `folder`, or fake_store (tests/file/fake_store.py, in memory); stop() and start() keep the port,
    and the content where it lies on a disk. certificate: what make_certificate gave, for https. As a context manager: stopped
    at the end."""

    def __init__(self, kind, folder, certificate=None):
        self.kind, self.folder, self.port, self.certificate = kind, Path(folder), free_port(), certificate
        self.process = None
        self.folder.mkdir(parents=True, exist_ok=True)
        if kind != "fake_store":
            assert (SERVERS / kind).exists(), f"no {SERVERS / kind}: run scripts/setup.sh test once"
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        address = f"127.0.0.1:{self.port}"
        tls = ["--cert", self.certificate[0], "--key", self.certificate[1]] if self.certificate else []
        certificates = ["--certs-dir", Path(self.certificate[0]).parent] if self.certificate else []
        command = {
            "versitygw": [SERVERS / "versitygw", "--port", address, "--access", ACCESS, "--secret", SECRET, "--keep-alive", "--quiet", *tls,
                          "posix", self.folder],
            "minio": [SERVERS / "minio", "server", "--quiet", "--address", address, *certificates, self.folder],
            "fake_store": [sys.executable, ROOT / "tests/file/fake_store.py", str(self.port)],
        }[self.kind]
        env = {**os.environ, "MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET, "MINIO_UPDATE": "off", "MINIO_BROWSER": "off"}
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2400):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise AssertionError(f"{self.kind} does not start")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def endpoint(self):
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def env(self):
        """For a process that is to reach this store. Over https it needs MOX_CA_BUNDLE=certificate[0], too."""
        return {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": self.endpoint,
                "TF_CPP_MIN_LOG_LEVEL": "2"}

    def use(self, file, **changes):
        """set_auth for this process."""
        if self.certificate:
            os.environ["MOX_CA_BUNDLE"] = self.certificate[0]
        file.set_auth(**{"ak": ACCESS, "sk": SECRET, "server": self.endpoint, "port": self.port, "is_secure": bool(self.certificate),
                         "path_style": True, **changes})


def make_certificate(folder):
    """Paths of a certificate for 127.0.0.1 that only the tests trust, and of its key."""
    certificate, key = str(folder / "public.crt"), str(folder / "private.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class Relay:
    """Passes connections on to `port` and counts the bytes that clients send."""

    def __init__(self, port):
        self.sent, self.target = 0, port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source, sink, count):
        try:
            while data := source.recv(1 << 20):
                self.sent += len(data) if count else 0
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
