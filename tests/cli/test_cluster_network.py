"""Two workers, each in a network namespace, and the wire between them."""
import os
import subprocess
import sys
import time

import pytest
from cluster import Cluster, alone
from program import ROOT
from test_cluster import assert_same_training

STEPS = 60
ADDRESSES = ["10.78.0.1", "10.78.0.2"]


def can_make_namespaces():
    name = f"moxprobe{os.getpid()}"
    made = os.geteuid() == 0 and subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return made


pytestmark = pytest.mark.skipif(not can_make_namespaces(), reason="network namespaces need root, and a kernel that has them")


class Wire:
    def __init__(self):
        self.names = [f"mox{os.getpid()}{side}" for side in "ab"]

    def __enter__(self):
        for name in self.names:
            self.ip("netns", "add", name)
        self.lay()
        return self

    def lay(self):
        self.ip("link", "add", "eth0", "netns", self.names[0], "type", "veth", "peer", "name", "eth0", "netns", self.names[1])
        for name, address in zip(self.names, ADDRESSES):
            self.ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            self.ip("-n", name, "link", "set", "lo", "up")
            self.ip("-n", name, "link", "set", "eth0", "up")

    def __exit__(self, *_):
        for name in self.names:
            self.ip("netns", "del", name)

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    def set(self, state):
        self.ip("-n", self.names[1], "link", "set", "eth0", state)

    def cluster(self, folder, *args):
        return Cluster(folder, 2, f"--steps={STEPS}", "--batch_size=8", f"--log_dir={folder}/run", *args,
                       hosts=[f"{address}:5000" for address in ADDRESSES], before=[("ip", "netns", "exec", name) for name in self.names])


class SlowWire(Wire):
    """With 10 ms each way, and of 100 packets 2 are lost."""

    def lay(self):
        links = [sys.executable, str(ROOT / "bench/cluster/links.py"), "--gbit=0.1", "--delay_ms=10", "--loss=0.02"]
        ends = [f"{name}={address}" for name, address in zip(self.names, ADDRESSES)]
        self.process = subprocess.Popen([*links, *ends], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        super().__exit__()


@pytest.fixture
def wire():
    with Wire() as wire:
        yield wire


def test_a_cut_wire_is_noticed_and_mended(wire, tmp_path):
    undisturbed = alone(tmp_path / "alone", f"--steps={STEPS}", "--batch_size=16")[1]
    with wire.cluster(tmp_path, "--step_ms=20") as cluster:
        cluster[1].wait_for_step(15)
        wire.set("down")
        cut = time.monotonic()
        for index in (0, 1):
            cluster[index].wait_for_text(f"worker {1 - index} (10.78.0.{2 - index}:5000", 8)
        assert time.monotonic() - cut < 6
        wire.set("up")
        cluster.results()
        assert_same_training(cluster.steps(), undisturbed)


def test_who_cannot_be_reached_is_named_until_he_can(wire, tmp_path):
    wire.set("down")
    with wire.cluster(tmp_path) as cluster:
        cluster[0].wait_for_text("worker 1 (10.78.0.2:5000) did not connect to worker 0 (10.78.0.1:5000)", 15)
        cluster[1].wait_for_text("worker 0: ", 15)
        wire.set("up")
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]


def test_a_proxy_is_not_asked_for_workers(wire, tmp_path):
    cluster = wire.cluster(tmp_path)
    cluster.env.update({name: "http://192.0.2.1:3128" for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")})
    with cluster:
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]


@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="this kernel has no tun devices")
@pytest.mark.parametrize("servers", [0, 1], ids=["all_reduce", "parameter_server"])
def test_delay_and_lost_packets_change_no_number_and_lose_no_worker(tmp_path, servers):
    undisturbed = alone(tmp_path / "alone", "--steps=20", "--batch_size=16")[1]
    with SlowWire() as wire:
        cluster = wire.cluster(tmp_path, "--steps=20")
        cluster.servers = [f"{ADDRESSES[0]}:5001"] * servers
        with cluster:
            cluster.results(seconds=120)
            assert_same_training(cluster.steps(), undisturbed)
            for worker in cluster.workers.values():
                assert "lost" not in worker.said() and "has not answered" not in worker.said()
                # A server of TensorFlow's protocol that is not on the loopback is told in a box.
                assert ("whoever reaches the port can run" in worker.said()) == bool(servers)
