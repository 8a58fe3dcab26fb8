"""What the tests of several workers share: workers that run, each a process, and what each of their steps had."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

from program import MOX

WORKER = MOX.parents[1] / "tests/cluster_worker"
# One thread each: the machine that tests has two cores.
THREADS = ["--num_inter_threads=1", "--num_intra_threads=1"]


def free_addresses(count):
    """Of ports that the kernel gave and nobody holds; they are not given again soon."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Patience:
    """Ends after so many seconds in which this process ran: one that was frozen, with the others, waited for nobody."""

    def __init__(self, seconds):
        self.left, self.last = seconds, time.monotonic()

    def is_over(self):
        now = time.monotonic()
        self.left, self.last = self.left - min(now - self.last, 1), now
        return self.left < 0


def steps_of(path):
    """global step -> what it had, of all devices together; a step that was done again after a loss stands there once, as it was last."""
    if not path.exists():
        return {}
    steps = {}
    for line in path.read_text().splitlines():
        if line.endswith("}"):
            had = json.loads(line)
            steps.setdefault(had["step"], {})[had["device"]] = had
    return {step: joined(list(devices.values())) for step, devices in steps.items()}


def joined(devices):
    losses = [sum(values) / len(values) for values in zip(*(had["losses"] for had in devices))]
    return {**devices[0], "samples": sum((had["samples"] for had in devices), []), "losses": losses}


class Worker:
    def __init__(self, index, folder, args, env, before=()):
        self.index, self.out, self.log = index, folder / f"steps.{index}", folder / f"log.{index}"
        self.process = subprocess.Popen([*before, str(WORKER), f"--out={self.out}", *args], stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=self.log.open("a"), env=env)

    def said(self):
        return self.log.read_text()

    def result(self, code=0, seconds=60):
        out, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == code, f"worker {self.index}: {self.process.returncode}\n{self.said()}"
        return json.loads(out.splitlines()[-1]) if out.strip() else None

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def wait_until_idle(self, seconds=40):
        """Until it does no step for half a second, after its first."""
        end, size, since = time.monotonic() + seconds, 0, time.monotonic()
        while size == 0 or time.monotonic() - since < 0.5:
            assert time.monotonic() < end, f"worker {self.index} goes on, or has not begun\n{self.said()}"
            time.sleep(0.02)
            now = self.out.stat().st_size if self.out.exists() else 0
            if now != size:
                size, since = now, time.monotonic()

    def wait_for_step(self, step, seconds=40):
        """Until it has done the step."""
        patience = Patience(seconds)
        while True:
            done = steps_of(self.out)
            if done and max(done) >= step:
                return
            assert self.process.poll() is None, f"worker {self.index} ended\n{self.said()}"
            assert not patience.is_over(), f"worker {self.index} is not at step {step}\n{self.said()}"
            time.sleep(0.01)

    def wait_for_text(self, text, seconds=40):
        patience = Patience(seconds)
        while text not in self.said():
            assert not patience.is_over(), f"worker {self.index} does not say {text!r}\n{self.said()}"
            time.sleep(0.01)


class Cluster:
    """Workers of one run, and parameter servers. They end with the block, however that ends."""

    def __init__(self, folder, count, *args, token="secret", hosts=None, before=None, servers=0):
        """before: the words in front of each worker's command; servers are where the first worker is."""
        addresses = free_addresses(count + servers)
        self.folder, self.args, self.hosts, self.servers = folder, list(args), hosts or addresses[:count], addresses[count:]
        self.before = before or [()] * count
        folder.mkdir(parents=True, exist_ok=True)
        self.env = {**os.environ, "MOX_CLUSTER_TOKEN": token}
        self.workers = {}

    def __enter__(self):
        for index in range(len(self.servers)):
            self.start_server(index)
        for index in range(len(self.hosts)):
            self.start(index)
        return self

    def __exit__(self, *_):
        for worker in self.workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            worker.process.communicate()

    def __getitem__(self, index):
        return self.workers[index]

    def _start(self, name, index, *more, before=()):
        hosts = [f"--worker_hosts={','.join(self.hosts)}"]
        if self.servers:
            hosts.append(f"--ps_hosts={','.join(self.servers)}")
        return Worker(name, self.folder, [*hosts, f"--task_index={index}", *THREADS, *self.args, *more], self.env, before)

    def start(self, index, *more):
        self.workers[index] = self._start(index, index, *more, before=self.before[index])
        return self.workers[index]

    def start_server(self, index, *more):
        self.workers[f"ps{index}"] = self._start(f"ps{index}", index, "--job_name=ps", *more, before=self.before[0])
        return self.workers[f"ps{index}"]

    def results(self, code=0, seconds=60):
        return [self.workers[index].result(code, seconds) for index in range(len(self.hosts))]

    def steps(self):
        """step -> (samples of all workers, their losses' means)."""
        each = [steps_of(self.workers[index].out) for index in range(len(self.hosts))]
        joined = {}
        for step in sorted(set.intersection(*[set(one) for one in each])):
            losses = [one[step]["losses"] for one in each]
            joined[step] = (sum((one[step]["samples"] for one in each), []),
                            [sum(values) / len(values) for values in zip(*losses)])
        return joined


def alone(folder, *args):
    """The same in one process."""
    folder.mkdir(parents=True, exist_ok=True)
    worker = Worker(0, folder, [*THREADS, *args], dict(os.environ))
    result = worker.result()
    return result, {step: (line["samples"], line["losses"]) for step, line in steps_of(worker.out).items()}
