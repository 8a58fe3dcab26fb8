"""`mox file` as a user runs it: output, exit codes, JSON."""
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import stores

MOX = Path(os.environ.get("MOX_PROGRAM") or stores.ROOT / "build/release/bin/mox")


@pytest.fixture(scope="module")
def mox(tmp_path_factory):
    with stores.Store("versitygw", tmp_path_factory.mktemp("store")) as store:

        def run(*words, code=0, stdin=""):
            done = subprocess.run([MOX, "file", *map(str, words)], env=store.env, capture_output=True, text=True, input=stdin, timeout=60)
            assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
            return done

        run.env = store.env
        run("mkdir", "s3://cli")
        yield run


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


@pytest.mark.parametrize("line, expected", [
    ("mox fi", ["file"]), ("mox file sy", ["sync"]), ("mox re", ["report"]), ("mox file cp --th", ["--threads"]),
    ("mox file ls s3://cli/comp/a", ["//cli/comp/a b", "//cli/comp/aa/"]), ("mox file cp Makefi", ["Makefile"])])
def test_completion_is_bash(mox, line, expected):
    """Read by bash and called as bash calls it, which takes ':' for the end of a word."""
    for name in ("a b", "aa/x", "b"):
        mox("append", f"s3://cli/comp/{name}", stdin="1")
    words = [word for part in re.split(r"( |:)", line) for word in [part.strip()] if word]
    shell = (f"PATH={MOX.parent}:$PATH\n" + mox("completion").stdout + f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; "
             "COMP_POINT=${#COMP_LINE}; _mox; printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True, env=mox.env, cwd=stores.ROOT)
    assert done.stdout.splitlines() == expected and done.stderr == ""


def test_starts_in_20_ms(mox):
    def once():
        begin = time.monotonic()
        subprocess.run([MOX, "file", "ls", "/"], stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - begin
    assert min(once() for _ in range(20)) < 0.02
