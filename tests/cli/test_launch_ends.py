"""mox launch: how tasks end, what stays, and what is started again."""

import json
import os
import re
import signal
import time

import pytest

from launching import Launch, NAME, POLITE, STUBBORN, agent_of, launch, processes_with, py, sh, until

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
