"""mox launch: each promise of docs/distributed.md with small programs."""

import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest

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
        kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **kwargs}
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


# Places, environment, command.

def test_every_task_learns_its_place():
    out, err = launch("--workers=2", "--ps=1", *py(NAME + "print(name, os.environ['MOX_CLUSTER_TOKEN'], json.dumps(cluster))"))
    assert err == ""
    rows = dict(re.fullmatch(r"\[(worker|ps) (\d)\] \1\2 ([0-9a-f]{64} .*)", line).expand(r"\1\2|\3").split("|")
                for line in out.splitlines())
    assert sorted(rows) == ["ps0", "worker0", "worker1"]
    assert len(set(rows.values())) == 1, "one token and one cluster for all"
    token, cluster = rows["ps0"].split(" ", 1)
    hosts = json.loads(cluster)["worker"] + json.loads(cluster)["ps"]
    assert len(set(hosts)) == 3 and all(re.fullmatch(r"127\.0\.0\.1:\d+", host) for host in hosts)
    again, _ = launch("--workers=1", *py("import os; print(os.environ['MOX_CLUSTER_TOKEN'])"))
    assert token not in again


def test_flags_for_mox_and_where_asked(tmp_path):
    mox = tmp_path / "mox"
    mox.write_text("#!/bin/sh\necho \"$@\"\n")
    mox.chmod(0o755)
    out, _ = launch("--workers=1", "--ps=1", "--", mox, "train", "--batch_size=3")
    lines = sorted(re.sub(r"127\.0\.0\.1:\d+", "HOST", line) for line in out.splitlines())
    flags = "train --batch_size=3 --ps_hosts=HOST --worker_hosts=HOST"
    assert lines == [f"[ps 0] {flags} --job_name=ps --task_index=0", f"[worker 0] {flags} --job_name=worker --task_index=0"]
    assert launch("--workers=1", "--", mox, "file", "ls")[0] == "[worker 0] file ls\n"
    assert "--task_index=0" in launch("--workers=1", "--pass_flags=on", "--", "echo")[0]
    assert launch("--workers=1", "--pass_flags=off", "--", mox, "train")[0] == "[worker 0] train\n"


def test_any_argument_arrives_as_it_is():
    words = ["", " a  b", "$HOME `id` $(id)", "'\"\\", "*", "--", "-x", "\n\t", "中文", "!;|&<>"]
    out, _ = launch("--workers=1", *py("import sys, json; print(json.dumps(sys.argv[1:]))"), *words)
    assert json.loads(out.removeprefix("[worker 0] ")) == words


def test_gpus_and_threads():
    env = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    script = sh('echo "$CUDA_VISIBLE_DEVICES/$OMP_NUM_THREADS"')
    args = ["--workers=2", "--ps=1", "--gpus_per_worker=2", "--threads_per_worker=3"]
    out, _ = launch(*args, *script, env={**env, "CUDA_VISIBLE_DEVICES": "4,5,6,7"})
    assert sorted(out.splitlines()) == ["[ps 0] /3", "[worker 0] 4,5/3", "[worker 1] 6,7/3"]
    _, err = launch(*args, *script, env={**env, "CUDA_VISIBLE_DEVICES": "4"}, code=2)
    assert "needs 4 devices for 2 workers, but CUDA_VISIBLE_DEVICES names 1" in err
    out, _ = launch("--workers=1", *sh('echo "${CUDA_VISIBLE_DEVICES-not set}"'), env=env)
    assert out == "[worker 0] not set\n"


def test_standard_input_is_empty_and_the_folder_is_ours(tmp_path):
    out, _ = launch("--workers=1", *sh("wc -c; pwd"), stdin=subprocess.PIPE, cwd=tmp_path)
    assert out.split() == ["[worker", "0]", "0", "[worker", "0]", str(tmp_path)]
    assert launch("--workers=1", f"--directory={tmp_path}", *sh("pwd"))[0] == f"[worker 0] {tmp_path}\n"


def test_closed_descriptors_of_the_launcher():
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(f"'{MOX}' launch --workers=2 -- sh -c 'echo x; echo y >&2; exit 0' {closed}", shell=True,
                              capture_output=True, text=True, timeout=60)
        lost = " >&-" in " " + closed
        assert done.returncode == (1 if lost else 0), "1: what cannot be printed is lost"
        assert done.stdout.count("] x\n") == (0 if lost else 2)
        assert done.stderr.count("] y\n") == (0 if "2>&-" in closed else 2)


def test_a_full_disk_under_standard_output_stops_no_task():
    done = subprocess.run(f"'{MOX}' launch --workers=1 -- sh -c 'echo x; sleep 0.2; echo y >&2' >/dev/full", shell=True,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cannot write to standard output: No space left on device" in done.stderr
    assert "[worker 0] y\n" in done.stderr


# Wrong use: exit code 2, and nothing was started.

@pytest.mark.parametrize("args, text", [
    (["--workers=2"], "there is no -- before a program"),
    (["--workers=2", "python", "train.py"], "there is no -- before a program"),
    (["--workers=2", "--"], "there is no program"),
    (["--", "true"], "--workers is missing"),
    (["--workers=0", "--", "true"], "--workers is 0"),
    (["--workers=-3", "--", "true"], "--workers is -3, expected an integer from 1 to 1024"),
    (["--workers=100000", "--", "true"], "--workers is 100000"),
    (["--workers=two", "--", "true"], "--workers"),
    (["--workers=1", "--ps=-1", "--", "true"], "--ps is -1"),
    (["--workers=1", "--gpus_per_worker=-1", "--", "true"], "--gpus_per_worker is -1"),
    (["--workers=1", "--threads_per_worker=-1", "--", "true"], "--threads_per_worker is -1"),
    (["--workers=1", "--restarts=-1", "--", "true"], "--restarts is -1"),
    (["--workers=1", "--restart_all", "--", "true"], "--restart_all needs --restarts"),
    (["--workers=1", "--grace_secs=nan", "--", "true"], "--grace_secs"),
    (["--workers=1", "--nosuchoption=1", "--", "true"], "nosuchoption"),
    (["--workers=1", "--pass_flags=maybe", "--", "true"], "maybe"),
    (["--workers=1", "--", "no-such-program"], "there is no program 'no-such-program' in PATH"),
    (["--workers=1", "--", "/etc/passwd"], "'/etc/passwd' is no program that can be started"),
    (["--workers=1", "--directory=/no/such", "--", "true"], "--directory: '/no/such' is no folder"),
    (["--workers=1", "--env=TF_CONFIG=x", "--", "true"], "TF_CONFIG"),
    (["--workers=1", "--env=NOT_SET_ANYWHERE", "--", "true"], "NOT_SET_ANYWHERE: this variable is not set here"),
    (["--workers=1", "--hosts=a,,b", "--", "true"], "'' is no host name"),
    (["--workers=2", "--hosts=a,a", "--", "true"], "'a' is there twice"),
    (["--workers=2", "--hosts=-oProxyCommand=x,b", "--", "true"], "is no host name"),
    (["--workers=1", "--hosts=a,b", "--", "true"], "--hosts has 2 hosts for 1 tasks"),
    (["--workers=1", "--hosts=a", "--ssh_command=no-such-ssh", "--", "true"], "cannot start 'no-such-ssh'"),
    (["--workers=1", "--cluster_file=/no/such/folder/f", "--", "true"], "--cluster_file: '/no/such/folder/f' cannot be written"),
    (["--workers=1", "--cluster_file=s3://b/f", "--", "true"], "expected a path on this host's disks"),
    (["--workers=1", "--cluster_file=/dev/null", "--", "true"], "it is no plain file"),
])
def test_wrong_use(args, text):
    done = subprocess.run([str(MOX), "launch", *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert text in done.stderr
    assert done.stdout == ""


# Output.

def test_lines_stay_whole_and_each_stream_goes_to_its_own():
    script = NAME + """
for i in range(2000):
    for stream in sys.stdout, sys.stderr:
        line = f"{name} {stream.name} {i} " + "x" * (i % 300)
        stream.write(line[:7]); stream.flush() if i % 100 == 0 else None
        stream.write(line[7:] + " end\\n")
"""
    out, err = launch("--workers=3", "--", PYTHON, "-c", script)
    for text, stream in ((out, "<stdout>"), (err, "<stderr>")):
        seen = {0: 0, 1: 0, 2: 0}
        for line in text.splitlines():
            found = re.fullmatch(rf"\[worker (\d)\] worker\1 {stream} (\d+) x* end", line)
            assert found, line
            assert int(found[2]) == seen[int(found[1])], "in order"
            seen[int(found[1])] += 1
        assert set(seen.values()) == {2000}


def test_lines_stay_whole_when_both_streams_are_one_pipe():
    script = "import sys\nfor i in range(300): print('o' * 9000); print('e' * 9000, file=sys.stderr)"
    out, _ = launch("--workers=2", *py(script), stderr=subprocess.STDOUT)
    lines = out.splitlines()
    assert len(lines) == 1200
    assert all(re.fullmatch(r"\[worker \d\] (o{9000}|e{9000})", line) for line in lines)


def test_100_megabytes_from_one_worker():
    out, _ = launch("--workers=2", *py(NAME + """
if name == "worker0":
    for i in range(100): sys.stdout.buffer.write(b"0123456789abcdefghijklmnopqrstuvwxyz.....\\n" * 25000)
else:
    print("quiet")
"""))
    assert out.count("[worker 0] 0123456789abcdefghijklmnopqrstuvwxyz.....\n") == 2500000
    assert out.count("[worker 1] quiet\n") == 1
    assert out.count("\n") == 2500001


def test_bytes_of_any_kind_pass():
    junk = bytes(range(256)) * 40
    script = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 40)"
    done = subprocess.run([str(MOX), "launch", "--workers=1", *py(script)], capture_output=True, timeout=60)
    assert done.returncode == 0
    lines = (b"[worker 0] " + junk).replace(b"\n", b"\n[worker 0] ") + b"\n"
    assert done.stdout == lines


def test_a_terminal_gets_colours_but_obeys_no_task(tmp_path):
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm"}
    env.pop("NO_COLOR", None)
    script = sh(r"printf 'plain\n50%%\r100%%\n\033[2J\033]0;title\007x\033[31mred\n'; echo low >&2")
    run = Launch("--workers=1", *script, stdout=follower, env=env)
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    _, err = run.finish()
    assert err == "[worker 0] low\n", "this one is no terminal"
    prefix = "\033[36m[worker 0]\033[0m "
    assert shown.decode().replace("\r\n", "\n") == (
        f"{prefix}plain\n{prefix}50%\n{prefix}100%\n{prefix}\\x1b[2J\\x1b]0;title\\x07x\033[31mred\033[0m\n")


def test_a_reader_that_waits_stops_no_signal(tmp_path):
    run = Launch("--workers=1", "--grace_secs=0.3", *sh(f"touch {tmp_path}/up; yes"))
    run.wait_for(tmp_path / "up")
    time.sleep(0.3)  # the pipe is full now, or will be: nobody reads it
    run.process.send_signal(signal.SIGTERM)
    until(lambda: not processes_with(run.mark), "yes still runs")
    run.finish(143)


def test_a_reader_that_goes_ends_the_tasks():
    done = subprocess.run(f"('{MOX}' launch --workers=2 -- yes; echo code $? >&2) | head -n 3", shell=True,
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.count("] y\n") == 3
    assert "nobody reads standard output" in done.stderr
    assert "code 141" in done.stderr


# Ends.

def test_the_first_failure_is_named_with_its_last_lines():
    out, err = launch("--workers=3", *py(NAME + """
if name == "worker1":
    for i in range(50): print("line", i)
    print("the reason", file=sys.stderr)
    sys.exit(7)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
while True: time.sleep(0.1)
"""), code=7)
    assert re.search(r"mox launch: worker 1 \(127\.0\.0\.1:\d+, pid \d+\) failed: exit code 7 after [\d.]+ s; asking worker 0, worker 2 to end", err)
    report = err[err.index("failed first"):]
    assert "failed first: exit code 7" in report and "  | line 49\n" in report and "  | the reason\n" in report
    assert "  | line 30\n" not in report, "the last ones only"
    assert "worker 0 (" not in err


def test_a_task_killed_by_a_signal():
    _, err = launch("--workers=1", *sh("kill -9 $$"), code=137)
    assert "killed by signal 9 (SIGKILL)" in err and "it printed nothing" in err


def test_parameter_servers_end_with_the_workers(tmp_path):
    out, err = launch("--workers=2", "--ps=2", *py(NAME + f"""
if name.startswith("ps"):
    signal.signal(signal.SIGTERM, lambda *_: (print("asked"), sys.exit(5)))
    open("{tmp_path}/" + name, "w")
    while True: time.sleep(0.1)
while len(os.listdir("{tmp_path}")) < 2: time.sleep(0.02)
"""))
    assert sorted(out.splitlines()) == ["[ps 0] asked", "[ps 1] asked"]
    assert err == ""


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


@pytest.mark.parametrize("number, code, forwarded", [(signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 15), (signal.SIGHUP, 129, 15)])
def test_one_signal_ends_all_gracefully(tmp_path, number, code, forwarded):
    run = Launch("--workers=2", *py(POLITE), tmp_path, group=True)
    run.wait_for(tmp_path / "*.up", 2)
    os.killpg(run.process.pid, number)  # as a terminal does; the launcher alone is in its group
    os.kill(run.process.pid, number)    # and as `timeout` does: one request
    out, err = run.finish(code)
    assert "asking worker 0, worker 1 to end" in err
    for name in ("worker0", "worker1"):
        assert (tmp_path / f"{name}.asked").read_text() == f"{forwarded}\n", "once"
        assert (tmp_path / f"{name}.checkpoint").exists()


STUBBORN = NAME + """
for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP: signal.signal(number, signal.SIG_IGN)
open(f"{sys.argv[1]}/{name}.up", "w")
while True: time.sleep(0.05)
"""


def test_a_task_that_ignores_signals_is_killed_after_the_grace(tmp_path):
    run = Launch("--workers=2", "--grace_secs=0.3", *py(STUBBORN), tmp_path)
    run.wait_for(tmp_path / "*.up", 2)
    run.process.terminate()
    _, err = run.finish(143)
    assert "worker 0, worker 1 did not end within the grace: killed" in err


def test_a_second_signal_kills(tmp_path):
    run = Launch("--workers=2", "--grace_secs=1000", *py(STUBBORN), tmp_path)
    run.wait_for(tmp_path / "*.up", 2)
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.15)  # sooner it would be the same request
    run.process.send_signal(signal.SIGINT)
    _, err = run.finish(130)
    assert "SIGINT again: killing worker 0, worker 1" in err


def test_a_stopped_task_can_be_asked(tmp_path):
    run = Launch("--workers=1", *py(POLITE), tmp_path)
    run.wait_for(tmp_path / "*.up")
    os.kill([pid for pid in processes_with(run.mark)][0], signal.SIGSTOP)
    run.process.terminate()
    run.finish(143)
    assert (tmp_path / "worker0.checkpoint").exists()


# Children in groups of their own (timeout), in sessions of their own (setsid), and orphans.
FAMILY = """
sleep 1000 & (sleep 1000 & sleep 1000) &
timeout 900 sleep 1000 &
setsid sh -c 'sleep 1000 & sleep 1000' &
(setsid sh -c 'trap "" TERM; sleep 1000 & touch %s/up; exec sleep 1000' &)
"""


def test_nothing_that_a_task_started_stays(tmp_path):
    out, err = launch("--workers=1", *sh(FAMILY % tmp_path + f"while [ ! -e {tmp_path}/up ]; do sleep 0.02; done; echo done"))
    assert out == "[worker 0] done\n"


def test_nothing_stays_after_a_signal(tmp_path):
    run = Launch("--workers=2", "--grace_secs=1", *sh(FAMILY % tmp_path + "wait"))
    run.wait_for(tmp_path / "up")
    run.process.send_signal(signal.SIGINT)
    run.finish(130)


@pytest.mark.parametrize("script", [POLITE, STUBBORN])
def test_kill_9_of_the_launcher(tmp_path, script):
    """Nobody is there to ask the tasks but the agent: they save what they have, or are killed after the grace."""
    run = Launch("--workers=2", "--grace_secs=2", *py(script), tmp_path)
    run.wait_for(tmp_path / "*.up", 2)
    run.process.kill()
    run.process.wait()
    until(lambda: not processes_with(run.mark), "tasks outlive their launcher")
    assert len(list(tmp_path.glob("*.checkpoint"))) == (2 if script is POLITE else 0)


def test_kill_9_of_the_launchers_group(tmp_path):
    run = Launch("--workers=1", "--grace_secs=0.5", *sh(FAMILY % tmp_path + "wait"), group=True)
    run.wait_for(tmp_path / "up")
    os.killpg(run.process.pid, signal.SIGKILL)
    until(lambda: not processes_with(run.mark), "tasks outlive their launcher")


def agent_of(run):
    children = pathlib.Path("/proc").glob("[0-9]*/stat")
    return [int(path.parent.name) for path in children if path.read_text().rsplit(")", 1)[1].split()[1] == str(run.process.pid)]


def test_kill_9_of_the_agent(tmp_path):
    run = Launch("--workers=1", *sh(FAMILY % tmp_path + "wait"))
    run.wait_for(tmp_path / "up")
    agent, = agent_of(run)
    os.kill(agent, signal.SIGKILL)
    _, err = run.finish(1)
    assert re.search(r"worker 0 \(.*\) failed: the process \d+ that keeps the tasks of this host ended \(killed by signal 9", err)


def test_kill_9_of_the_launcher_and_its_agent(tmp_path):
    run = Launch("--workers=2", *py(STUBBORN), tmp_path)
    run.wait_for(tmp_path / "*.up", 2)
    for pid in [run.process.pid, *agent_of(run)]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not processes_with(run.mark), "tasks outlive both")
    run.process.communicate()


# Restarts.

# Fails while the file of failures has fewer than argv[2] lines for this task.
FLAKY = NAME + """
path = f"{sys.argv[1]}/{name}"
open(path, "a").write("x\\n")
runs = len(open(path).readlines())
print("run", runs, cluster["worker"])
if name == "worker1" and runs <= int(sys.argv[2]): sys.exit(3)
"""


def test_a_failed_task_alone_is_started_again_with_its_address(tmp_path):
    out, err = launch("--workers=2", "--restarts=2", *py(FLAKY), tmp_path, "2")
    assert (tmp_path / "worker0").read_text().count("x") == 1
    lines = [line for line in out.splitlines() if "[worker 1]" in line]
    assert [line.split()[3] for line in lines] == ["1", "2", "3"]
    assert len({line.split("[", 2)[2] for line in lines}) == 1, "the same addresses"
    assert "exit code 3" in err and "it is started again (restart 2 of 2)" in err


def test_restarts_end(tmp_path):
    out, err = launch("--workers=2", "--restarts=1", *py(FLAKY), tmp_path, "9", code=3)
    assert (tmp_path / "worker1").read_text().count("x") == 2
    assert "failed first: exit code 3" in err and "  | run 2" in err and "  | run 1" not in err


def test_restart_all(tmp_path):
    # worker1 fails when worker0 has begun.
    script = FLAKY.replace("if name ==", """
def begun(): return len(open(f"{sys.argv[1]}/worker0").readlines()) if os.path.exists(f"{sys.argv[1]}/worker0") else 0
while name == "worker1" and begun() < runs: time.sleep(0.02)
if name ==""") + "\nif name == 'worker0' and runs < 3: time.sleep(1000)"
    out, _ = launch("--workers=2", "--restarts=2", "--restart_all", *py(script), tmp_path, "2")
    assert (tmp_path / "worker0").read_text().count("x") == 3
    assert (tmp_path / "worker1").read_text().count("x") == 3


def test_a_killed_task_is_started_again(tmp_path):
    file = tmp_path / "cluster"
    run = Launch("--workers=2", "--restarts=1", f"--cluster_file={file}",
                 *sh(f"echo x >> {tmp_path}/runs; until [ -e {tmp_path}/end ]; do sleep 0.05; done"))
    run.wait_for(file)
    first = json.loads(file.read_text())
    os.kill(first[1]["pid"], signal.SIGKILL)
    until(lambda: json.loads(file.read_text())[1]["pid"] != first[1]["pid"], "no new pid")
    second = json.loads(file.read_text())
    assert second[0] == first[0] and second[1]["address"] == first[1]["address"]
    (tmp_path / "end").touch()
    _, err = run.finish()
    assert "killed by signal 9 (SIGKILL)" in err
    assert (tmp_path / "runs").read_text().count("x") == 3


# Ports and the cluster file.

SERVER = NAME + """
import socketserver
host, port = cluster["worker"][_task["index"]].split(":")
class Handler(socketserver.StreamRequestHandler):
    def handle(self): self.wfile.write(name.encode())
socketserver.TCPServer.allow_reuse_address = True
server = socketserver.TCPServer((host, int(port)), Handler)
import socket, threading
threading.Thread(target=server.serve_forever, daemon=True).start()
for i, address in enumerate(cluster["worker"]):
    end = time.time() + 30
    while True:
        try:
            with socket.create_connection(tuple(address.split(":"))) as c: answer = c.makefile().read()
            break
        except ConnectionRefusedError:
            assert time.time() < end
            time.sleep(0.05)
    assert answer == f"worker{i}", answer
open(f"{sys.argv[1]}/{name}", "w")
while len([f for f in os.listdir(sys.argv[1]) if f.startswith("worker")]) < len(cluster["worker"]): time.sleep(0.05)
"""


def test_servers_get_their_ports_also_when_many_launch_at_once(tmp_path):
    runs = []
    for i in range(4):
        (tmp_path / str(i)).mkdir()
        runs.append(Launch("--workers=3", *py(SERVER), tmp_path / str(i)))
    for run in runs:
        run.finish()


def test_a_held_port_is_for_its_task_only(tmp_path):
    file = tmp_path / "cluster"
    run = Launch("--workers=1", f"--cluster_file={file}", *sh(f"until [ -e {tmp_path}/end ]; do sleep 0.05; done"))
    run.wait_for(file)
    port = int(json.loads(file.read_text())[0]["address"].rsplit(":", 1)[1])
    with socket.socket() as plain, pytest.raises(OSError):
        plain.bind(("127.0.0.1", port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    (tmp_path / "end").touch()
    run.finish()
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", port))


def test_release_ports_for_plain_servers():
    script = NAME + """
import socket
host, port = cluster["worker"][0].split(":")
socket.socket().bind((host, int(port)))
print("bound")
"""
    _, err = launch("--workers=1", *py(script), code=1)
    assert "Address already in use" in err
    assert launch("--workers=1", "--release_ports", *py(script))[0] == "[worker 0] bound\n"


def test_cluster_file(tmp_path):
    file = tmp_path / "cluster"
    file.write_text("from an earlier run")
    run = Launch("--workers=2", "--ps=1", f"--cluster_file={file}",
                 *sh(f"until [ -e {tmp_path}/end ]; do sleep 0.05; done; echo $$"))
    until(lambda: file.exists() and "earlier" not in file.read_text(), "no cluster file")
    entries = json.loads(file.read_text())  # whole whenever it is there
    assert [(e["job_name"], e["task_index"]) for e in entries] == [("worker", 0), ("worker", 1), ("ps", 0)]
    assert all(e.keys() == {"job_name", "task_index", "address", "pid"} for e in entries)
    assert len({e["address"] for e in entries}) == 3
    (tmp_path / "end").touch()
    out, _ = run.finish()
    assert {int(line.split()[-1]) for line in out.splitlines()} == {e["pid"] for e in entries}
    assert sorted(os.listdir(tmp_path)) == ["cluster", "end"], "no temporary file stays"


# Other hosts: a stand-in for ssh that runs what it is given here, as sshd does: through the user's shell.

@pytest.fixture
def fake_ssh(tmp_path):
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
printf '%s\\n' "$*" >> {tmp_path}/ssh.log
while [ "$1" = -o ]; do shift 2; done
host=$1; shift
[ "$host" = closed ] && {{ echo 'ssh: connect to host closed port 22: Connection refused' >&2; exit 255; }}
[ "$host" = chatty ] && echo 'Welcome to chatty'
export FAKE_HOST=$host
cd / && exec sh -c "$*"
""")
    program.chmod(0o755)
    return {"env": {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}}


def test_hosts(tmp_path, fake_ssh):
    words = ["", " a  b", "$HOME `id` $(id)", "'\"\\", "*", "\n\t", "中文", "!;|&<>"]
    out, err = launch("--workers=3", "--ps=1", "--hosts=a,u@b", f"--cluster_file={tmp_path}/cluster", f"--directory={tmp_path}",
                      "--env=X=it's $HOME", *py(NAME + """
print(json.dumps([os.environ["FAKE_HOST"], name, os.environ["X"], os.getcwd(), sys.argv[1:], cluster]))
if name == "ps0": time.sleep(1000)
"""), *words, **fake_ssh)
    assert err == ""
    rows = [json.loads(line.split("] ", 1)[1]) for line in out.splitlines()]
    assert sorted(row[:2] for row in rows) == [["a", "ps0"], ["a", "worker0"], ["a", "worker1"], ["u@b", "worker2"]]
    assert all(row[2:5] == ["it's $HOME", str(tmp_path), words] for row in rows)
    cluster = rows[0][5]
    assert [host.split(":")[0] for host in cluster["worker"] + cluster["ps"]] == ["a", "a", "b", "a"]
    entries = json.loads((tmp_path / "cluster").read_text())
    assert [e["host"] for e in entries] == ["a", "a", "u@b", "a"]
    calls = (tmp_path / "ssh.log").read_text()
    assert calls.count("BatchMode=yes") == 2
    assert "sys.argv" not in calls and "it's" not in calls, "nothing of the program stands on ssh's command line"


def test_hosts_say_what_they_print(fake_ssh):
    out, err = launch("--workers=1", "--hosts=chatty", *sh("echo x; echo y >&2; exit 4"), code=4, **fake_ssh)
    assert out == "[worker 0] x\n"
    assert launch("--hosts=a", *sh("pwd"), cwd="/usr", **fake_ssh)[0] == "[worker 0] /usr\n"
    assert "[host chatty] Welcome to chatty\n" in err and "[worker 0] y\n" in err
    assert "worker 0 on host 'chatty' (chatty:" in err


def test_a_host_that_cannot_be_reached(fake_ssh):
    out, err = launch("--hosts=a,closed", *sh("echo started"), code=1, **fake_ssh)
    assert out == ""
    assert "[host closed] ssh: connect to host closed port 22: Connection refused" in err
    assert "the connection to host 'closed' ended (exit code 255), before the agent there was ready" in err


def test_a_program_that_a_host_does_not_have(fake_ssh):
    _, err = launch("--hosts=a", "--", "no-such-program", code=127, **fake_ssh)
    assert "worker 0 on host 'a'" in err and "cannot start 'no-such-program': No such file or directory" in err
    _, err = launch("--hosts=a", "--remote_mox=/no/such/mox", *sh("true"), code=1, **fake_ssh)
    assert "/no/such/mox" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_remote_tasks_end_with_the_launcher(tmp_path, fake_ssh, number):
    run = Launch("--workers=2", "--hosts=a,b", *py(POLITE), tmp_path, **fake_ssh)
    run.wait_for(tmp_path / "*.up", 2)
    run.process.send_signal(number)
    if number == signal.SIGINT:
        run.finish(130)
    until(lambda: not processes_with(run.mark), "tasks outlive the connection")
    assert len(list(tmp_path.glob("*.checkpoint"))) == 2
    run.process.communicate()


def test_a_lost_connection_is_named(tmp_path, fake_ssh):
    run = Launch("--hosts=a,b", "--grace_secs=1", *py(POLITE), tmp_path, **fake_ssh)
    run.wait_for(tmp_path / "*.up", 2)
    os.kill(agent_of(run)[1], signal.SIGKILL)  # exec made it the agent of b
    _, err = run.finish(1)
    assert "worker 1 on host 'b'" in err and "the connection to host 'b' ended (killed by signal 9 (SIGKILL))" in err


def test_restart_all_after_a_parameter_server_failed(tmp_path):
    """Workers that ended well when they were asked have not done their work."""
    script = NAME + """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
path = f"{sys.argv[1]}/{name}"
open(path, "a").write("x")
runs = len(open(path).read())
if name == "ps0" and runs == 1:
    while len(os.listdir(sys.argv[1])) < 3: time.sleep(0.02)
    sys.exit(3)
if runs == 1: time.sleep(1000)
if name == "ps0": time.sleep(1000)
"""
    launch("--workers=2", "--ps=1", "--restarts=1", "--restart_all", *py(script), tmp_path)
    assert (tmp_path / "worker0").read_text() == (tmp_path / "worker1").read_text() == "xx"


def test_restart_all_kills_what_does_not_end(tmp_path):
    """And what is started then is left alone, also when the launcher would give a host up."""
    script = NAME + """
path = f"{sys.argv[1]}/{name}"
open(path, "a").write("x")
if len(open(path).read()) == 2: time.sleep(4.5)
elif name == "worker1":
    while not os.path.exists(sys.argv[1] + "/stubborn"): time.sleep(0.02)
    sys.exit(3)
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(sys.argv[1] + "/stubborn", "w")
    time.sleep(1000)
"""
    _, err = launch("--workers=2", "--restarts=1", "--restart_all", "--grace_secs=0.2", *py(script), tmp_path)
    assert "worker 0 did not end within the grace: killed" in err


def test_many_tasks():
    out, _ = launch("--workers=100", *sh("echo x; sleep 0.1"))
    assert len(set(out.splitlines())) == 100
