"""What the benchmarks share: contenders run as whole processes, in turn, and results.json is what this module writes.

A contender is one program in one setting. Ours have names that begin with `mox` and run as they come; a peer may have
several settings, all tried in the same call: one that is slower than the peer's best by more than a fifth in the first round
is not run again, and in each figure the peer's best setting counts. The order turns round from one round to the next.

The file has for each row `machine`, `versions` of all sides, `parameters`, `runs` (every run in its order, with every time
that it reported), `medians` by contender, setting and figure, `best` (each side's counted setting by figure) and `ratios`
(ours to the peer's, of medians, and `pairs`, those of each round). Every run has `seconds`, `cpu_seconds` and `peak_mib` (of
the main process) as the operating system counts them, and `other_cpu_seconds`: what the rest of the machine used meanwhile.
Rows that a call does not measure stay as the call that measured them wrote them. MOX_BENCH_PATIENCE=SECONDS lets every run wait
for a quiet machine.
"""
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/release"
DROP_BEYOND = 1.2  # a setting that is slower than this in the first round is not run again


# ---- What a contender prints

def report(**values):
    """Prints what a contender measured; `versions` maps the names of libraries to their versions."""
    print(json.dumps(values), flush=True)


def step_seconds(stamps, steps_each=1, group=1):
    """Seconds a step, means over `group` steps, from the time after every `steps_each` steps."""
    stride = max(1, group // steps_each)
    picked = stamps[::stride]
    return [round((b - a) / (stride * steps_each), 9) for a, b in zip(picked, picked[1:])]


def repeated(step, seconds, least=6):
    """The times of calls of `step` for so many seconds, and `least` calls."""
    stamps = [time.perf_counter()]
    while len(stamps) <= least or stamps[-1] - stamps[0] < seconds:
        step()
        stamps.append(time.perf_counter())
    return step_seconds(stamps)


def steady(times):
    """The median of the second half: starting, compiling and growing are left out."""
    return statistics.median(times[len(times) // 2:])


def json_lines(text):
    """The contender's report; a later line adds to an earlier one."""
    found = {}
    for line in re.findall(r"^\{.*\}$", text, re.M):
        found.update(json.loads(line))
    return found


def mox_steps(text, batch):
    """The times of mox's log lines. A line's rate is the mean since the line before."""
    rates = re.findall(r"^step: \d+.*?sample/sec: ([\d.]+)", text, re.M)
    return {"step_seconds": [round(batch / float(rate), 9) for rate in rates]}


# ---- Running

@dataclasses.dataclass
class Contender:
    """`command` may be a function of the round (0, 1, …); it runs in a new folder of its own, removed after `read`.

    `read` gets what the process printed and returns what it measured (figures, times, versions; None where the system's
    account does not count). It also checks what the process made and takes it away; `folder` is the process's, still there.
    """
    who: str
    command: typing.Any
    setting: str = "default"
    env: dict = dataclasses.field(default_factory=dict)
    read: typing.Callable = lambda text, folder: json_lines(text)


def _peak_kib(pid):
    """While it runs: looked for seldom, since who measures takes time from the process on a machine of few cores."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
        found = re.search(r"VmHWM:\s+(\d+)", f.read())
        return int(found[1]) if found else 0
    return 0


def _busy_seconds():
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = (int(n) for n in f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def wait_until_quiet():
    """On a shared machine: waits, so long at most, until the others use less than a tenth of a core for a second."""
    end, quiet = time.monotonic() + float(os.environ.get("MOX_BENCH_PATIENCE", 0)), False
    while not quiet and time.monotonic() < end:
        busy = _busy_seconds()
        time.sleep(1)
        quiet = _busy_seconds() - busy < 0.1


def run(contender, turn=0):
    wait_until_quiet()
    command = contender.command(turn) if callable(contender.command) else contender.command
    command = [str(word) for word in command]
    env = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2", **contender.env)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+", errors="replace") as output:
        busy, begin, peak = _busy_seconds(), time.monotonic(), 0
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=env)
        try:
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                peak = max(peak, _peak_kib(process.pid))
                time.sleep(0.001 if time.monotonic() - begin < 0.2 else 0.1)
        except BaseException:
            process.kill()
            raise
        seconds, busy, cpu = time.monotonic() - begin, _busy_seconds() - busy, usage.ru_utime + usage.ru_stime
        if usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:  # else it may be what this process held when it started it
            peak = usage.ru_maxrss
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
        if status:
            raise SystemExit(f"{contender.who}: {' '.join(command)} ended with {process.returncode}:\n{text[-3000:]}")
        whole = {"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "peak_mib": round(peak / 1024, 1),
                 "other_cpu_seconds": round(max(0.0, busy - cpu), 2)}
        return {name: value for name, value in {**whole, **contender.read(text, folder)}.items() if value is not None}


# ---- What comes of it

def ours(who):
    return who.startswith("mox")


def _better(figures, figure, a, b):
    return a > b if figures[figure] == "higher" else a < b


def _worth_running(contenders, runs, figures):
    """The first figure decides which settings of a peer are not run again."""
    figure = next(iter(figures))
    first = {(r["who"], r["setting"]): r[figure] for r in runs if r["round"] == 1 and figure in r}

    def stays(c):
        mine = first.get((c.who, c.setting))
        theirs = [value for (who, _), value in first.items() if who == c.who]
        if mine is None or ours(c.who):
            return True
        return mine * DROP_BEYOND >= max(theirs) if figures[figure] == "higher" else mine <= DROP_BEYOND * min(theirs)

    return [c for c in contenders if stays(c)]


def summary(runs, figures):
    """`medians`, `best` and `ratios` of a row's runs: nothing else goes into them, so they can be computed again."""
    grouped = {}
    for r in runs:
        for figure in figures:
            if figure in r:
                grouped.setdefault(r["who"], {}).setdefault(r["setting"], {}).setdefault(figure, {})[r["round"]] = r[figure]
    medians = {who: {setting: {figure: round(statistics.median(values.values()), 6) for figure, values in of.items()}
                     for setting, of in settings.items()} for who, settings in grouped.items()}
    best, ratios = {}, {}
    for who, settings in medians.items():
        for figure in figures:
            for setting, of in settings.items():
                chosen = best.get(who, {}).get(figure)
                if figure in of and (chosen is None or _better(figures, figure, of[figure], settings[chosen][figure])):
                    best.setdefault(who, {})[figure] = setting
    for mine in filter(ours, medians):
        for peer in (who for who in medians if not ours(who)):
            for figure in figures:
                if figure in best[mine] and figure in best[peer]:
                    a, b = (grouped[who][best[who][figure]][figure] for who in (mine, peer))
                    ratio = medians[mine][best[mine][figure]][figure] / medians[peer][best[peer][figure]][figure]
                    pairs = [round(a[turn] / b[turn], 3) for turn in a if turn in b]
                    ratios.setdefault(f"{mine}/{peer}", {})[figure] = {"ratio": round(ratio, 3), "pairs": pairs}
    return {"medians": medians, "best": best, "ratios": ratios}


def _said_by(*command):
    try:
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def module_version(program):
    """Module and version that a Go program was built from; its own word may be less."""
    found = re.search(rb"\nmod\t(\S+)\t(\S+)\t", pathlib.Path(program).read_bytes())
    return b" ".join(found.groups()).decode() if found else "unknown"


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    flags = re.search(r"^flags\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    wide = [name for name in ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16") if flags and name in flags[1].split()]
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    system = os.uname()
    return {"cpu": cpu[1] if cpu else system.machine, "instructions": " ".join(wide), "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory / (1 << 20), 1), "system": f"{system.sysname} {system.release}"}


def dumps(content):
    """JSON with a line for each run, version, list of times, …: whatever has nothing nested but lists of numbers."""
    def joined(match):
        return re.sub(r"([\[{]) | ([\]}])", r"\1\2", re.sub(r"\s*\n\s*", " ", match[0]))

    text = json.dumps(content, indent=1)
    for innermost in (r"\[[^][{}]*\]", r"\{[^{}]*\}"):
        text = re.sub(innermost, joined, text)
    return text


def _versions():
    """Of ours."""
    mox = {"mox": _said_by(BUILD / "bin/mox", "--version"),
           "commit": _said_by("git", "log", "-1", "--format=%h", "--abbrev=12", "--", "src", "include")}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        mox["tensorflow-cpu"] = importlib.metadata.version("tensorflow-cpu")
    return {"mox": mox}


class Results:
    """One results.json. `figures` maps the name of each figure that is compared to "higher" or "lower", the better way."""

    def __init__(self, path, benchmark, figures, **parameters):
        self.path, self.figures, self.parameters = pathlib.Path(path), figures, parameters
        self.rows = json.loads(self.path.read_text())["rows"] if self.path.exists() else {}
        self.benchmark, self.machine = benchmark, machine()

    def row(self, name, contenders, rounds, **parameters):
        """Runs the contenders `rounds` times in turn; the file is whole after every round."""
        self.rows_in_turn({name: contenders}, rounds, **parameters)

    def rows_in_turn(self, rows, rounds, **parameters):
        """Several rows, the points of a curve say: a round of each before the next round. `rows`: the contenders by the row's name."""
        runs, versions = {name: [] for name in rows}, {name: _versions() for name in rows}
        for turn in range(rounds):
            for name in list(rows) if turn % 2 == 0 else reversed(list(rows)):
                left = _worth_running(rows[name], runs[name], self.figures)
                for contender in left if turn % 2 == 0 else reversed(left):
                    values = run(contender, turn)
                    if said := values.pop("versions", None):
                        versions[name].setdefault(contender.who, {}).update(said)
                    runs[name].append({"round": turn + 1, "who": contender.who, "setting": contender.setting, **values})
                    print(name, {key: value for key, value in runs[name][-1].items() if not isinstance(value, list)}, file=sys.stderr, flush=True)
                self.rows[name] = {"machine": self.machine, "versions": versions[name], "parameters": {**self.parameters, **parameters},
                                   "runs": runs[name], **summary(runs[name], self.figures)}
                self.write()

    def write(self):
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(dumps({"benchmark": self.benchmark, "figures": self.figures, "rows": self.rows}) + "\n")
        part.replace(self.path)
