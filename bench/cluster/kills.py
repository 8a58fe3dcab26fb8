#!/usr/bin/env python3
"""Kills and stops workers at random moments of trainings, and starts them again: no run may hang, no loss may differ from an undisturbed
training's, no checkpoint may be lost. Prints a line a run, and one of all; --out writes them as JSON.

    bench/cluster/kills.py --kills=200 --workers=3 [--seed=1] [--out=FILE]
"""
import argparse
import json
import pathlib
import random
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/cli"))
from cluster import Cluster

STEPS = 400
MODELS = [["--model=conv"], ["--model=gan"], ["--loss_scale=dynamic"], ["--optimizer=lars"], ["--sync_batch_norm=true", "--model=norm"]]


def disturb(cluster, chance, left):
    """One kill or stop of one worker or two; returns how many processes it struck."""
    count = min(left, 2 if len(cluster.hosts) > 2 and chance.random() < 0.2 else 1)
    victims = chance.sample(range(len(cluster.hosts)), count)
    stops = chance.random() < 0.15
    for victim in victims:
        cluster[victim].kill(signal.SIGSTOP if stops else signal.SIGKILL)
    if stops:
        time.sleep(chance.choice([0.2, 5.5]))
    else:
        time.sleep(chance.choice([0, 0.05, 0.5]))
    for victim in victims:
        if stops:
            cluster[victim].kill(signal.SIGCONT)
        else:
            cluster.start(victim)
    return count


def run(folder, model, workers, chance, kills):
    args = [f"--steps={STEPS}", f"--log_dir={folder}/run", "--step_ms=8", "--save_steps=20", *model]
    started = time.monotonic()
    struck = 0
    with Cluster(folder, workers, f"--batch_size={24 // workers}", *args) as cluster:
        while struck < kills:
            cluster[chance.randrange(workers)].wait_for_step(1, 60)
            time.sleep(chance.uniform(0, 1.5))
            if any(worker.process.poll() is not None for worker in cluster.workers.values()):
                break  # it has ended
            struck += disturb(cluster, chance, kills - struck)
        results = cluster.results(seconds=120)
        joined = cluster.steps()
    assert [result["global_step"] for result in results] == [STEPS] * workers, results
    assert (folder / f"run/model.ckpt-{STEPS}.index").exists()
    return struck, joined, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out")
    flags = parser.parse_args()
    chance = random.Random(flags.seed)
    lines, references, struck = [], {}, 0
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        while struck < flags.kills:
            number = len(lines)
            model = MODELS[number % len(MODELS)]
            key = " ".join(model)
            if key not in references:
                # Of as many workers: in 400 steps the rounding of other sums grows to 2e-3.
                with Cluster(root / f"undisturbed{number}", flags.workers, f"--batch_size={24 // flags.workers}", f"--steps={STEPS}",
                             *model) as cluster:
                    cluster.results()
                    references[key] = cluster.steps()
            kills, joined, seconds = run(root / f"run{number}", model, flags.workers, chance, min(10, flags.kills - struck))
            reference = references[key]
            worst = max(abs(got - expected) for step, (_, losses) in joined.items()
                        for got, expected in zip(losses, reference[step][1]))
            samples = all(sorted(seen) == sorted(reference[step][0]) for step, (seen, _) in joined.items())
            struck += kills
            lines.append({"model": key, "kills": kills, "seconds": round(seconds, 1), "largest difference": worst,
                          "same samples": samples, "steps compared": len(joined)})
            print(f"{key}: {kills} kills, {seconds:.0f} s, largest difference of a loss {worst:.1e}, same samples: {samples}",
                  flush=True)
            assert worst < 1e-6 and samples
    print(f"{struck} kills in {len(lines)} runs of {flags.workers} workers: no hang, no other loss, no checkpoint lost")
    if flags.out:
        pathlib.Path(flags.out).write_text(json.dumps({"runs": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
