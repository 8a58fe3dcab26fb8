"""What the tests of mox launch share: a launcher that runs, and small programs for its tasks."""

import pathlib
import signal
import subprocess
import sys
import time
import uuid

from program import MOX

PYTHON = sys.executable
STEP = 0.02


def until(test, what, seconds=30):
    """Waits for an event, not for a time."""
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, what
        time.sleep(STEP)


def processes_with(mark):
    """Living processes that have LAUNCH_MARK=mark in their environment: all that a launch ever started."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"LAUNCH_MARK={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            pass
    return found


class Launch:
    """A launcher that runs, and whether anything of it stays."""

    def __init__(self, *args, group=False, **kwargs):
        self.mark = uuid.uuid4().hex
        at = args.index("--")
        words = ["launch", *args[:at], f"--env=LAUNCH_MARK={self.mark}", *args[at:]]
        # The tests may run under nohup, which the launcher heeds.
        kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL,
                  "preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL), **kwargs}
        self.process = subprocess.Popen([str(MOX), *map(str, words)], start_new_session=group, **kwargs)

    def wait_for(self, path, count=1):
        """Until so many files are there, which the tasks write."""
        until(lambda: len(list(path.parent.glob(path.name))) >= count or self.process.poll() is not None, f"no {path}")
        assert self.process.poll() is None, self.process.communicate()

    def finish(self, code=0, left=0):
        try:
            out, err = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()  # its agent ends the tasks
            raise
        out, err = (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace")
        assert self.process.returncode == code, (out, err)
        assert len(processes_with(self.mark)) == left
        return out, err


def agent_of(run):
    children = pathlib.Path("/proc").glob("[0-9]*/stat")
    return [int(path.parent.name) for path in children if path.read_text().rsplit(")", 1)[1].split()[1] == str(run.process.pid)]


def launch(*args, code=0, **kwargs):
    return Launch(*args, **kwargs).finish(code)


def sh(text):
    return ["--", "sh", "-c", text]


def py(text):
    return ["--", PYTHON, "-u", "-c", text]


# A task's name, for the scripts: "worker1".
NAME = """
import json, os, signal, sys, time
_task = json.loads(os.environ["TF_CONFIG"])["task"]
name = _task["type"] + str(_task["index"])
cluster = json.loads(os.environ["TF_CONFIG"])["cluster"]
"""


# Writes NAME.up, then a line for each signal; ends by itself half a second after the first.
POLITE = NAME + """
folder = sys.argv[1]
def asked(number, frame):
    with open(f"{folder}/{name}.asked", "a") as f: f.write(f"{number}\\n")
    signal.alarm(1)
def done(*_):
    open(f"{folder}/{name}.checkpoint", "w")
    sys.exit(1)
for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP: signal.signal(number, asked)
signal.signal(signal.SIGALRM, done)
open(f"{folder}/{name}.up", "w")
while True: time.sleep(0.05)
"""


STUBBORN = NAME + """
for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP: signal.signal(number, signal.SIG_IGN)
open(f"{sys.argv[1]}/{name}.up", "w")
while True: time.sleep(0.05)
"""
