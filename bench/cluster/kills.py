#!/usr/bin/env python3
"""Kills and stops processes of trainings at random moments, and starts them again: no run may hang, no checkpoint may be lost, and losses
must be what the mode promises: those of an undisturbed training; without sync finite ones that fall. Prints a line a run, and one of all;
--out writes them as JSON. What a run
that failed left stays in its folder under /tmp.

    bench/cluster/kills.py --kills=200 [--modes=all_reduce,devices,parameter_server,async,distributed_replicated] [--workers=3] [--seed=1]
                           [--out=FILE]
"""
import argparse
import json
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/cli"))
from cluster import Cluster, Patience, steps_of

STEPS, SAVE_STEPS, BATCH = 400, 20, 24
MODELS = [["--model=conv"], ["--model=gan"], ["--loss_scale=dynamic"], ["--optimizer=lars"]]
# Servers, flags, models.
MODES = {
    "all_reduce": (0, [], [*MODELS, ["--sync_batch_norm=true", "--model=norm"]]),
    # Two a worker; variable_update=auto tries its ways, and again after each loss.
    "devices": (0, ["--num_gpus=2"], MODELS),
    "parameter_server": (1, ["--variable_update=parameter_server"], MODELS),
    "distributed_replicated": (1, ["--variable_update=distributed_replicated"], MODELS),
    "async": (1, ["--sync_replicas=false"], [["--model=conv"], ["--model=gan"]]),
}


def batch_size(mode, workers):
    return BATCH // workers // (2 if mode == "devices" else 1)


def newest_checkpoint(folder):
    """The step of the newest checkpoint that is announced; all its files must be there."""
    state = folder / "run/checkpoint"
    if not state.exists():
        return -1
    path = re.search(r'^model_checkpoint_path: "(.*)"', state.read_text(), re.MULTILINE).group(1)
    prefix = folder / "run" / pathlib.Path(path).name
    assert prefix.with_name(prefix.name + ".index").exists(), f"{prefix} is announced and not there"
    return int(path.rsplit("-", 1)[1])


class Trial:
    """One training that is disturbed."""

    def __init__(self, folder, mode, model, workers, chance):
        self.folder, self.mode, self.workers, self.chance = folder, mode, workers, chance
        self.servers, flags, _ = MODES[mode]
        args = [f"--steps={STEPS}", f"--log_dir={folder}/run", "--step_ms=8", f"--save_steps={SAVE_STEPS}", *flags, *model]
        self.cluster = Cluster(folder, workers, f"--batch_size={batch_size(mode, workers)}", *args, servers=self.servers)
        self.struck, self.newest, self.last_loss_of_server = {}, -1, 0

    def victims(self, left):
        """One process, or two at once; a server in a quarter of the cases."""
        count = min(left, 2 if self.workers > 2 - self.servers and self.chance.random() < 0.2 else 1)
        victims = self.chance.sample(range(self.workers), count)
        if self.servers and self.chance.random() < 0.25:
            victims[0] = f"ps{self.chance.randrange(self.servers)}"
        return victims

    def start(self, victim):
        if isinstance(victim, int):
            self.cluster.start(victim)
        else:
            self.cluster.start_server(int(victim[2:]))

    def disturb(self, left):
        victims, stops = self.victims(left), self.chance.random() < 0.15
        before, said = newest_checkpoint(self.folder), len(self.cluster[0].said())
        for victim in victims:
            self.cluster[victim].kill(signal.SIGSTOP if stops else signal.SIGKILL)
            kind = "chief" if victim == 0 else "worker" if isinstance(victim, int) else "ps"
            name = f"{kind} {'stopped' if stops else 'killed'}"
            self.struck[name] = self.struck.get(name, 0) + 1
            if kind == "ps":
                self.last_loss_of_server = time.monotonic()
        time.sleep(self.chance.choice([0.2, 5.5] if stops else [0, 0.05, 0.5]))
        for victim in victims:
            self.cluster[victim].kill(signal.SIGCONT) if stops else self.start(victim)
        assert before >= self.newest, f"the newest checkpoint was {self.newest}, and is {before}"
        self.newest = before
        return said, before

    def ended(self):
        return any(worker.process.poll() is not None for worker in self.cluster.workers.values())

    def wait_for_moment(self):
        """Mostly until steps are done again, sometimes while processes still come together."""
        self.cluster[self.chance.randrange(self.workers)].wait_for_step(1, 90)
        before, patience = self.steps_done(), Patience(120)
        if self.chance.random() < 0.75:
            while self.steps_done() == before and not self.ended():
                assert not patience.is_over(), "no step is done any more:\n" + self.cluster[0].said()
                time.sleep(0.05)
        time.sleep(self.chance.uniform(0, 1.5))

    def wait_for_end(self):
        """A slow machine is no hang: as long as steps are done, or begun anew."""
        done, patience = self.steps_done(), Patience(120)
        while any(self.cluster[index].process.poll() is None for index in range(self.workers)):
            time.sleep(0.2)
            if self.steps_done() != done:
                done, patience = self.steps_done(), Patience(120)
            assert not patience.is_over(), "no step is done any more:\n" + self.cluster[0].said()

    def steps_done(self):
        return sum(worker.out.stat().st_size for worker in self.cluster.workers.values() if worker.out.exists())

    def run(self, kills):
        restored = []
        with self.cluster as cluster:
            while sum(self.struck.values()) < kills:
                self.wait_for_moment()
                if self.ended():
                    break
                restored.append(self.disturb(kills - sum(self.struck.values())))
            self.wait_for_end()
            results = cluster.results(seconds=300)
            self.check_servers_end()
            said = cluster[0].said()
        last = results[0]["global_step"]
        if self.mode != "async":
            assert [result["global_step"] for result in results] == [STEPS] * self.workers, results
        assert newest_checkpoint(self.folder) == last > 0, (newest_checkpoint(self.folder), last)
        for at, newest in restored:
            again = re.search(r"checkpoint \S*model\.ckpt-(\d+): going on from it", said[at:])
            assert not again or int(again.group(1)) >= newest, f"{again.group(0)}, but {newest} had been saved"

    def check_servers_end(self):
        if time.monotonic() - self.last_loss_of_server < 30:
            return  # it may have come back after all had left
        for index in range(self.servers):
            server = self.cluster[f"ps{index}"]
            assert server.process.wait(timeout=60) == 0, server.said()


def losses_of(cluster):
    """All losses of all workers, by step."""
    each = [steps_of(cluster[index].out) for index in range(len(cluster.hosts))]
    return [[line["losses"] for _, line in sorted(one.items())] for one in each]


def judge_async(cluster):
    for losses in losses_of(cluster):
        numbers = [loss[0] for loss in losses]
        assert all(value is not None for loss in losses for value in loss), "a loss is not finite"
        assert sum(numbers[-10:]) < sum(numbers[:10]), f"losses do not fall: {numbers[:10]} … {numbers[-10:]}"
    return {}


def judge_sync(joined, reference):
    joined = {step: had for step, had in joined.items() if len(had[0]) == BATCH}  # who is killed may have written one device's line alone
    worst = max(abs(got - expected) for step, (_, losses) in joined.items() for got, expected in zip(losses, reference[step][1]))
    samples = all(sorted(seen) == sorted(reference[step][0]) for step, (seen, _) in joined.items())
    assert worst < 1e-6 and samples, f"largest difference {worst}, same samples: {samples}"
    return {"largest difference": worst, "steps compared": len(joined)}


class References:
    """Undisturbed trainings of as many workers: in 400 steps the rounding of other sums grows to 2e-3."""

    def __init__(self, root):
        self.root, self.known = root, {}

    def of(self, mode, model, workers):
        key = (mode, *model)
        if key not in self.known:
            servers, flags, _ = MODES[mode]
            with Cluster(self.root / f"undisturbed{len(self.known)}", workers, f"--batch_size={batch_size(mode, workers)}", f"--steps={STEPS}", *flags,
                         *model, servers=servers) as cluster:
                cluster.results(seconds=400)
                self.known[key] = cluster.steps()
        return self.known[key]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--workers", type=int, default=3, help="of all_reduce; with servers two: sums of three depend on who comes first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out")
    flags = parser.parse_args()
    chance = random.Random(flags.seed)
    modes, lines, struck, began = flags.modes.split(","), [], 0, time.monotonic()
    root = pathlib.Path(tempfile.mkdtemp(prefix="kills."))
    references = References(root)
    while struck < flags.kills:
        mode = modes[len(lines) % len(modes)]
        models = MODES[mode][2]
        model = models[len(lines) // len(modes) % len(models)]
        workers = 2 if MODES[mode][0] else flags.workers
        trial = Trial(root / f"run{len(lines)}", mode, model, workers, chance)
        started = time.monotonic()
        trial.run(min(10, flags.kills - struck))
        result = judge_async(trial.cluster) if mode == "async" else judge_sync(trial.cluster.steps(), references.of(mode, model, workers))
        struck += sum(trial.struck.values())
        lines.append({"mode": mode, "model": " ".join(model), "struck": trial.struck, "seconds": round(time.monotonic() - started, 1), **result})
        print(json.dumps(lines[-1]), flush=True)
        if flags.out:
            pathlib.Path(flags.out).write_text(json.dumps({"runs": lines}, indent=1) + "\n")
    print(f"{struck} kills and stops in {len(lines)} runs, {time.monotonic() - began:.0f} s: no hang, no wrong loss, no checkpoint lost")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
