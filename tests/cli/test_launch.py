"""mox launch: each promise of docs/distributed.md with small programs. Places, wrong use, output."""

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from launching import Launch, NAME, PYTHON, launch, processes_with, py, sh, until
from program import MOX

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
