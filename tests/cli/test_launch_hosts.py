"""mox launch: ports, the cluster file, other hosts."""

import json
import os
import signal
import socket

import pytest

from launching import Launch, NAME, POLITE, agent_of, launch, processes_with, py, sh, until

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


# Other hosts.

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
