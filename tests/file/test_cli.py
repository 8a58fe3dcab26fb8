"""`mox file` as a user runs it: output, exit codes, JSON."""
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOX = Path(os.environ.get("MOX_PROGRAM") or ROOT / "build/release/bin/mox")
SERVER = Path(os.environ.get("MOX_SERVERS") or Path.home() / ".cache/moxing/servers") / "versitygw"


@pytest.fixture(scope="module")
def mox(tmp_path_factory):
    data = tmp_path_factory.mktemp("store")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    assert SERVER.exists(), f"no {SERVER}: run scripts/setup.d/20-file.sh once"
    server = subprocess.Popen([SERVER, "--port", f"127.0.0.1:{port}", "--access", "AK", "--secret", "SK", "--keep-alive", "--quiet", "posix", data],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    env = dict(os.environ, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", AWS_ACCESS_KEY_ID="AK", AWS_SECRET_ACCESS_KEY="SK")

    def run(*words, code=0, stdin=""):
        done = subprocess.run([MOX, "file", *map(str, words)], env=env, capture_output=True, text=True, input=stdin, timeout=60)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done
    run("mkdir", "s3://cli")
    yield run
    server.kill()
    server.wait()


def test_round(mox, tmp_path):
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/a.txt").write_text("alpha\n")
    (tmp_path / "d/e/b.txt").write_text("beta\n")
    summary = mox("cp", "-r", tmp_path / "d", "s3://cli/d").stderr
    assert "2 files" in summary and "0 failed" in summary
    assert mox("ls", "s3://cli/d").stdout == "a.txt\ne/\n"
    assert mox("ls", "-r", "s3://cli/d").stdout == "a.txt\ne/\ne/b.txt\n"
    assert "6" in mox("ls", "-l", "s3://cli/d").stdout.splitlines()[0]
    entries = [json.loads(line) for line in mox("ls", "--json", "s3://cli/d").stdout.splitlines()]
    assert [(e["name"], e["type"], e["length"]) for e in entries] == [("a.txt", "file", 6), ("e", "folder", 0)]
    assert mox("cat", "s3://cli/d/a.txt", "s3://cli/d/e/b.txt").stdout == "alpha\nbeta\n"
    assert json.loads(mox("stat", "--json", "s3://cli/d/a.txt").stdout)["length"] == 6
    assert json.loads(mox("du", "--json", "s3://cli/d").stdout) == {"path": "s3://cli/d", "bytes": 11, "files": 2}
    mox("append", "s3://cli/d/a.txt", stdin="more\n")
    assert mox("cat", "s3://cli/d/a.txt").stdout == "alpha\nmore\n"
    synced = json.loads(mox("sync", "--json", "s3://cli/d", tmp_path / "down").stdout)
    assert synced["files"] == 2 and synced["failed"] == []
    assert json.loads(mox("sync", "--json", "s3://cli/d", tmp_path / "down").stdout)["skipped"] == 2
    mox("mv", "s3://cli/d/a.txt", "s3://cli/moved.txt")
    mox("rm", "-r", "s3://cli/d", "s3://cli/moved.txt")
    assert mox("ls", "s3://cli").stdout == ""


def test_exit_codes_and_messages(mox, tmp_path):
    (tmp_path / "ok").write_text("1")
    failed = mox("cat", tmp_path / "ok", "s3://cli/none", code=1)
    assert failed.stdout == "1" and "s3://cli/none" in failed.stderr
    assert "add -r" in mox("cp", tmp_path, "s3://cli/x", code=2).stderr
    assert "ls cat cp" in mox("frobnicate", code=2).stderr
    mox("ls", "--wrong-flag", code=2)
    mox("rm", "s3://cli/none", code=1)
    mox("rm", "-f", "s3://cli/none")
    mox("mkdir", "s3://cli/no/parent", code=1)
    mox("mkdir", "-p", "s3://cli/no/parent")


@pytest.mark.parametrize("command", ["ls", "cat", "cp", "sync", "mv", "rm", "mkdir", "stat", "du", "append"])
def test_help_has_an_example(mox, command):
    assert f"mox file {command}" in mox(command, "--help").stdout


def test_completion_is_bash(mox):
    script = mox("completion").stdout
    done = subprocess.run(["bash", "-c", script + "\nCOMP_WORDS=(mox file sy); COMP_CWORD=2; _mox; echo ${COMPREPLY[@]}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "sync"


def test_starts_in_20_ms(mox):
    def once():
        begin = time.monotonic()
        subprocess.run([MOX, "file", "ls", "/"], stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - begin
    assert min(once() for _ in range(20)) < 0.02
