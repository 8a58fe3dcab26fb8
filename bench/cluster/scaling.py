#!/usr/bin/env python3
"""The exchange of ResNet-50's gradients over 2 to 16 workers, each in a network namespace behind a link of its own, and the model of
cost that is fitted to it: writes scaling.json, and with --docs the tables of docs/scaling.md from it.

Usage (root; ip and tc of iproute2): scaling.py [--workers=2,4,8,16] [--gbits=1,10] [--delay_ms=0.1] [--slowed=10,100] [--check=2,4] [--rounds=2]
           [--output=FILE] [--docs]
       scaling.py --docs --only_docs     (from the scaling.json that is there)

All workers share this machine's cores, which are too few for them at a link's full rate. So the network is slowed down: with --slowed=100
a link of 10 Gbit/s and 0.1 ms has 0.1 Gbit/s and 10 ms, all that the network does takes a hundred times as long, and times are divided by
a hundred. What is left out so is the processors' part of a hop: it is taken from --check, a few workers at full rate on the first of the
links, which also shows that slowing down changes nothing else. `cpu_share`: of the cores, in a row as it was measured; beyond 0.4 the
machine would be measured and not the network, and the model leaves the row out.

Links have netem's rate and delay, or those of links.py where the kernel has no netem; at full rate then tbf's rate, and no delay.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import results  # noqa: E402

PAGE = results.ROOT / "docs/scaling.md"
PORT = 5000
MOST_CPU = 0.4  # of the cores, the kernel's part not counted: beyond it a row tells of the machine
RESNET50 = [(7, 3, 64)]  # side, in, out: as gradient_sizes() of tools/mox/exchange_bench.cc
for _width, _units, _first in ((64, 3, 64), (128, 4, 256), (256, 6, 512), (512, 3, 1024)):
    for _unit in range(_units):
        _in = _first if _unit == 0 else 4 * _width
        RESNET50 += ([(1, _in, 4 * _width)] if _unit == 0 else []) + [(1, _in, _width), (3, _width, _width), (1, _width, 4 * _width)]


# ---- The model

def gradient_sizes():
    """Elements of ResNet-50's gradients, in the order of its variables."""
    sizes = []
    for side, into, out in RESNET50:
        sizes += [side * side * into * out, out, out]
    return [*sizes, 2048 * 1000, 1000]


def buckets(sizes, least=4 << 20):
    """What is exchanged at a time: gradients from the last to the first, until a bucket has `least` bytes."""
    made, bytes_ = [], least
    for size in reversed(sizes):
        if bytes_ >= least:
            made.append([])
            bytes_ = 0
        made[-1].append(size)
        bytes_ += 4 * size
    return made


def pieces(sizes, workers):
    """How often the ring goes round in a step, as src/cluster/exchanger.cc has it: large gradients in pieces, small ones packed."""
    most, count = workers << 17, 0
    for bucket in buckets(sizes):
        packed = 0
        for size in bucket:
            if size >= most:
                count += -(-size // most)
                continue
            if packed + size > most:
                count, packed = count + 1, 0
            packed += size
        count += packed > 0
    return count


def hops(workers, sizes=None):
    """Messages that wait for each other: each piece goes to the next worker 2 (N - 1) times."""
    return pieces(sizes or gradient_sizes(), workers) * 2 * (workers - 1)


def sent_bytes(workers, total):
    """What each worker sends, and receives."""
    return total * 2 * (workers - 1) / workers


def exchange_ms(model, workers, total):
    return hops(workers) * model["hop_ms"] + sent_bytes(workers, total) / model["gb_per_s"] / 1e6


def left_over_ms(exchange, count, backward, overlap):
    """What a step takes longer: the last bucket cannot begin before the backward pass ends, and what of the pass was not used."""
    return max(exchange / count, exchange - overlap * backward)


def fit(rows):
    """gb_per_s, the bare link's, and hop_ms, for which the rows' errors, relative, are least in the mean square; None with less than two
    rows."""
    rows = [row for row in rows if row["cpu_share"] <= MOST_CPU]
    if len(rows) < 2:
        return None
    model = {"hop_ms": 0.0, "gb_per_s": max(row["bytes"] / row["wire_ms"] for row in rows) / 1e6}
    parts = [(hops(row["workers"]) / row["wall_ms"], 1 - exchange_ms(model, row["workers"], row["bytes"]) / row["wall_ms"]) for row in rows]
    return {**model, "hop_ms": max(0.0, sum(hop * rest for hop, rest in parts) / sum(hop * hop for hop, _ in parts))}


def fit_overlap(rows, alone_ms):
    """The part of a backward pass that the exchange uses, from rows with one."""
    used = [(alone_ms - (row["wall_ms"] - row["backward_ms"])) / row["backward_ms"] for row in rows
            if row["wall_ms"] - row["backward_ms"] > 1.5 * alone_ms / row["buckets"]]  # else the last bucket is what is left over
    return min(1.0, max(0.0, sum(used) / len(used))) if used else 1.0


def models(content):
    """By Gbit/s: of the slowed rows, and what a hop costs the processors besides, of those at full rate."""
    found, own = {}, [row for row in content["rows"] if row["slowed"] == 1]
    for gbit in content["gbits"]:
        model = fit([row for row in content["rows"] if row["gbit"] == gbit and row["slowed"] > 1])
        if model:
            found[gbit] = {**model, "own_hop_ms": own_hop_ms(own, model) if own and own[0]["gbit"] == gbit else None}
    known = [model["own_hop_ms"] for model in found.values() if model["own_hop_ms"] is not None]
    for model in found.values():
        model["own_hop_ms"] = max(known, default=0.0)
    return found


def own_hop_ms(rows, model):
    """What rows at full rate took longer than the wire, a hop; where their links had a delay, without the network's part."""
    longer = [(row["wall_ms"] - row["wire_limit_ms"]) / hops(row["workers"]) for row in rows]
    with_delay = any("no delay" not in row["shaping"] for row in rows)
    return max(0.0, statistics.mean(longer) - (model["hop_ms"] if with_delay else 0))


def whole(model):
    """Network and processors."""
    return {**model, "hop_ms": model["hop_ms"] + model["own_hop_ms"]}


def overlap_of(content):
    used = []
    for gbit in content["gbits"]:
        with_pass = [row for row in content["overlap"] if row["gbit"] == gbit]
        alone = [row for row in content["rows"] if with_pass and all(row[name] == with_pass[0][name] for name in ("gbit", "slowed", "workers"))]
        if alone:
            used.append(fit_overlap(with_pass, alone[0]["wall_ms"]))
    return min(used) if used else 1.0


# ---- The network

class Network:
    """Namespaces w0, w1, …, each with a link to one switch; in a mount and a network namespace of this process's own. Without a delay
    links have a rate alone."""

    def __init__(self, count, gbit, delay_ms):
        self.count, self.links = count, None
        for i in range(count):
            self.run("ip", "netns", "add", f"w{i}")
        if delay_ms and not self.has_netem():
            self.shaping = f"links.py, {delay_ms:g} ms"
            ends = [f"w{i}={self.address(i)}" for i in range(count)]
            self.links = subprocess.Popen([sys.executable, str(HERE / "links.py"), f"--gbit={gbit}", f"--delay_ms={delay_ms}", *ends],
                                          stdout=subprocess.PIPE, text=True)
            if self.links.stdout.readline() != "ready\n":
                raise SystemExit("links.py did not begin")
            return
        self.run("ip", "link", "add", "switch", "type", "bridge")
        self.run("ip", "link", "set", "switch", "up")
        for i in range(count):
            self.run("ip", "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0", "netns", f"w{i}")
            self.run("ip", "link", "set", f"port{i}", "master", "switch", "up")
            self.run("ip", "-n", f"w{i}", "addr", "add", f"{self.address(i)}/16", "dev", "eth0")
            for name in "lo", "eth0":
                self.run("ip", "-n", f"w{i}", "link", "set", name, "up")
            self.shaping = self.shape(i, gbit, delay_ms)

    def close(self):
        if self.links:
            self.links.kill()
            self.links.communicate()
        for i in range(self.count):
            self.run("ip", "netns", "del", f"w{i}")
        if not self.links:
            self.run("ip", "link", "del", "switch")

    def has_netem(self):
        self.run("ip", "link", "add", "probe", "type", "veth", "peer", "name", "probed")
        found = self.run("tc", "qdisc", "add", "dev", "probe", "root", "netem", "delay", "1ms", check=False)
        self.run("ip", "link", "del", "probe")
        return found

    @staticmethod
    def address(i):
        return f"10.77.0.{i + 1}"

    @staticmethod
    def run(*words, check=True):
        done = subprocess.run(words, capture_output=True, text=True)
        if check and done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.returncode == 0

    def shape(self, i, gbit, delay_ms):
        add = ["tc", "-n", f"w{i}", "qdisc", "add", "dev", "eth0", "root"]
        if delay_ms:
            self.run(*add, "netem", "delay", f"{delay_ms}ms", "rate", f"{1000 * gbit}mbit", "limit", "10000")
            return f"netem, {delay_ms:g} ms"
        self.run(*add, "tbf", "rate", f"{1000 * gbit}mbit", "burst", "256kb", "latency", "50ms")
        return "tbf, no delay"

    def bench(self, mox, *options):
        hosts = ",".join(f"{self.address(i)}:{PORT}" for i in range(self.count))
        running = [subprocess.Popen(["nsenter", f"--net=/run/netns/w{i}", str(mox), "bench", "exchange", f"--worker_hosts={hosts}",
                                     f"--task_index={i}", "--json", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for i in range(self.count)]
        said = [process.communicate(timeout=1800) for process in running]
        if any(process.returncode for process in running):
            raise SystemExit(f"mox bench exchange failed: {[err for _, err in said]}")
        return json.loads(said[0][0])


def enter_own_network(inside):
    """This script once more, with --inside, in a mount and a network namespace of its own: nobody else's namespaces are seen or touched."""
    if not inside:
        os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation=private", sys.executable, *sys.argv, "--inside"])
    os.makedirs("/run/netns", exist_ok=True)
    Network.run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")


TIMES = ("wall_ms", "least_ms", "most_ms", "backward_ms", "wire_ms", "wire_limit_ms")


def measure(network, gbit, slowed, mox, *options):
    """A row, in the times of a network that is not slowed down; those of processors are as they are."""
    report = network.bench(mox, *options)
    row = {"gbit": gbit, "slowed": slowed, "shaping": network.shaping, **{name: value for name, value in report.items() if name != "processes"}}
    row["cpu_share"] = round(row["workers"] * row["cpu_ms"] / row["wall_ms"] / len(os.sched_getaffinity(0)), 3)
    row.update({name: round(row[name] / slowed, 3) for name in TIMES})
    row.update({name: round(row["bytes"] / row[time] / 1e6, 4) for name, time in (("gb_per_s", "wall_ms"), ("wire_gb_per_s", "wire_ms"))})
    print(row, file=sys.stderr, flush=True)
    return row


def measure_all(args):
    content = {"benchmark": "bench/cluster/scaling.py", "machine": results.machine(), "gbits": args.gbits, "delay_ms": args.delay_ms,
               "rows": [], "overlap": []}
    rounds = (f"--rounds={args.rounds}", "--warmup=1")
    asked = [(args.gbits[0], 1, workers, 0) for workers in args.check]
    asked += [(gbit, slowed, workers, args.delay_ms * slowed) for gbit, slowed in zip(args.gbits, args.slowed, strict=True) for workers in args.workers]
    for gbit, slowed, workers, delay_ms in asked:
        network = Network(workers, gbit / slowed, delay_ms)
        try:
            row = measure(network, gbit, slowed, args.mox, *rounds)
            content["rows"].append(row)
            if workers == args.overlap_workers and slowed > 1:
                for part in 0.5, 1:
                    backward = round(part * row["wall_ms"] * slowed, 1)
                    content["overlap"].append(measure(network, gbit, slowed, args.mox, *rounds, f"--backward_ms={backward}"))
        finally:
            network.close()
        args.output.write_text(results.dumps(content) + "\n")


# ---- The page

def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(cells) + " |" for cells in rows)])


def measured_table(content):
    found = models(content)
    rows = []
    for row in content["rows"]:
        model = found.get(row["gbit"])
        if model and row["slowed"] == 1:
            model = {**model, "hop_ms": model["own_hop_ms"] + (0 if "no delay" in row["shaping"] else model["hop_ms"])}
        said = f"{exchange_ms(model, row['workers'], row['bytes']):,.0f}" if model else ""
        rows.append([f"{row['gbit']:g}", "no" if row["slowed"] == 1 else f"{row['slowed']:g} times", str(row["workers"]), f"{row['wall_ms']:,.0f}",
                     f"{row['wire_limit_ms']:,.0f}", said, f"{row['cpu_ms']:.0f}",
                     f"{100 * row['cpu_share']:.0f}%" + ("" if row["cpu_share"] <= MOST_CPU else " (left out)")])
    return table(["Gbit/s", "slowed", "workers", "exchange, ms", "the wire's limit, ms", "the model, ms", "CPU a worker, ms", "of the cores"], rows)


def model_table(content):
    rows = [[f"{gbit:g}", f"{8 * model['gb_per_s']:.2f}", f"{1000 * model['hop_ms']:.0f}", f"{1000 * model['own_hop_ms']:.0f}"]
            for gbit, model in models(content).items()]
    return table(["Gbit/s", "bytes, Gbit/s", "a hop: network, µs", "processors, µs"], rows) + \
        f"\n\nOf a backward pass the exchange uses {100 * overlap_of(content):.0f}%."


def paper_table(content, compute=(250, 1000, 2000), workers=(2, 4, 8, 16, 64, 1024)):
    total, count, overlap = 4 * sum(gradient_sizes()), len(buckets(gradient_sizes())), overlap_of(content)
    rows = []
    for gbit, model in models(content).items():
        for n in workers:
            exchange = exchange_ms(whole(model), n, total)
            steps = [step / (step + left_over_ms(exchange, count, step * 2 / 3, overlap)) for step in compute]
            rows.append([f"{gbit:g}", f"{n:,}", f"{hops(n):,}", f"{exchange:,.0f}", *(f"{step:.2f}" for step in steps)])
    return table(["Gbit/s", "workers", "hops", "exchange, ms", *(f"a step of {step:,} ms" for step in compute)], rows)


def with_tables(page, content):
    made = {"measured": measured_table, "model": model_table, "paper": paper_table}
    return re.sub(r"(<!-- table (\w+): bench/cluster/scaling.py -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{made[m[2]](content)}\n{m[3]}", page, flags=re.S)


def numbers(kind):
    return lambda text: [kind(number) for number in text.split(",") if number]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=numbers(int), default=[2, 4, 8, 16])
    parser.add_argument("--gbits", type=numbers(float), default=[1.0, 10.0])
    parser.add_argument("--delay_ms", type=float, default=0.1)
    parser.add_argument("--slowed", type=numbers(float), default=[10.0, 100.0], help="one a link")
    parser.add_argument("--check", type=numbers(int), default=[2, 4], help="workers at full rate")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--overlap_workers", type=int, default=4, help="with how many workers backward passes are tried, too")
    parser.add_argument("--mox", type=pathlib.Path, default=results.BUILD / "bin/mox")
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "scaling.json")
    parser.add_argument("--docs", action="store_true", help="write the tables of docs/scaling.md")
    parser.add_argument("--only_docs", action="store_true", help="from the file that is there")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.only_docs:
        enter_own_network(args.inside)
        measure_all(args)
    if args.docs:
        PAGE.write_text(with_tables(PAGE.read_text(), json.loads(args.output.read_text())))


if __name__ == "__main__":
    main()
