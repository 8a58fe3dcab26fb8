"""`mox file` as a user runs it: output, exit codes, JSON."""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
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
    ("mox file ls s3://cli/comp/a", ["//cli/comp/a b", "//cli/comp/aa/"]), ("mox file cp Makefi", ["Makefile"]),
    ("mox data spl", ["split"]), ("mox train --dtype=fl", ["float32", "float16"]), ("mox train --batch_norm_fused=", ["true", "false"]),
    ("mox data split --sp", ["--split"]), ("mox predict --checkpoint_url=Makef", ["Makefile"]), ("mox comp", ["completion"])])
def test_completion_is_bash(mox, line, expected):
    """Read by bash and called as bash calls it, which takes ':' for the end of a word."""
    for name in ("a b", "aa/x", "b"):
        mox("append", f"s3://cli/comp/{name}", stdin="1")
    words = [word for part in re.split(r"( |:)", line) for word in [part.strip()] if word]
    shell = (f"PATH={MOX.parent}:$PATH\n" + mox("completion").stdout + f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; "
             "COMP_POINT=${#COMP_LINE}; _mox; printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True, env=mox.env, cwd=stores.ROOT)
    assert done.stdout.splitlines() == expected and done.stderr == ""


@pytest.mark.parametrize("shell, line, expected", [
    ("fish", "mox tr", "train\ttrain a built-in network"), ("fish", "mox train --dtype=fl", "--dtype=float16\n--dtype=float32"),
    ("fish", "mox file cp --th", "--threads\ttransfers at once"), ("fish", "mox predict READ", "README.md")])
def test_completion_is_fish(shell, line, expected):
    if not shutil.which(shell):
        pytest.skip("fish is not installed")
    script = f"PATH={MOX.parent}:$PATH {MOX} completion fish | source; set -x PATH {MOX.parent} $PATH; complete -C '{line}'"
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True, cwd=stores.ROOT)
    assert expected in done.stdout and done.stderr == ""


@pytest.mark.parametrize("line, expected", [
    ("mox tra", "mox train"), ("mox data spl", "mox data split"), ("mox file cp --th", "mox file cp --threads"), ("mox predict READ", "mox predict README.md")])
def test_completion_is_zsh(line, expected):
    """A user's zsh on a terminal: the line, then Tab."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(stores.ROOT)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "PATH": f"{MOX.parent}:{os.environ['PATH']}"})
    shown = ""

    def wait_for(text):
        nonlocal shown
        end = time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < end, shown
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")

    try:
        os.write(terminal, b'autoload -Uz compinit; compinit -u; eval "$(mox completion zsh)"; print REA"DY"\n')
        wait_for("READY")
        shown = ""
        os.write(terminal, f"{line}\t".encode())
        wait_for(expected)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_completion_of_a_shell_that_there_is_none():
    done = subprocess.run([MOX, "completion", "tcsh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown shell 'tcsh', expected one of bash, zsh, fish" in done.stderr


@pytest.fixture
def slow_store(mox, tmp_path):
    """The environment of a store that takes 1.3 s for each upload."""
    port = stores.free_port()
    proxy = subprocess.Popen([sys.executable, stores.ROOT / "tests/file/fault_proxy.py", str(port), mox.env["AWS_ENDPOINT_URL"].rpartition(":")[2]])
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-control?kind=slow&count=1000&method=PUT&path=.&delay=1.3")
            break
        except urllib.error.URLError:
            time.sleep(0.05)
    yield dict(mox.env, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", MOX_STATE_DIR=str(tmp_path / "state"))
    proxy.kill()
    proxy.wait()


def test_progress_and_summary(slow_store, tmp_path):
    """A bar on a terminal; elsewhere a line every ten seconds; a summary in both; nothing with MOX_SILENT_MODE."""
    (tmp_path / "src").mkdir()
    for i in range(9):
        (tmp_path / "src" / str(i)).write_text("content")
    started = []

    def start(target, **environment):
        terminal, other_end = pty.openpty()
        command = [MOX, "file", "cp", "-r", "--threads", "1", tmp_path / "src", f"s3://cli/{target}"]
        to_terminal = target == "terminal"
        process = subprocess.Popen(command, env={**slow_store, **environment}, stderr=other_end if to_terminal else subprocess.PIPE)
        os.close(other_end)
        started.append((process, terminal if to_terminal else os.dup(process.stderr.fileno())))

    start("terminal")
    start("pipe")
    start("silent", MOX_SILENT_MODE="1")
    shown = []
    for process, end in started:
        text = b""
        try:
            while data := os.read(end, 1 << 16):
                text += data
        except OSError:  # a terminal whose program has ended
            pass
        assert process.wait(60) == 0
        shown.append(text.decode())
    terminal, pipe, silent = shown
    assert re.search(r"\r.*\[=+ *\] +\d+% \d/9 files", terminal) and "9 files" in terminal.splitlines()[-1]
    assert "\r" not in pipe and re.search(r"\d/9 files", pipe) and "0 failed" in pipe.splitlines()[-1]
    assert silent == ""


def test_starts_in_20_ms(mox):
    """Of a processor's time, which other load on the machine does not change much."""
    def once():
        process = subprocess.Popen([MOX, "file", "ls", "/"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        assert status == 0
        return usage.ru_utime + usage.ru_stime
    assert min(once() for _ in range(20)) < 0.02
