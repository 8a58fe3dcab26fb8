"""Writes the tables in docs/benchmarks.md from what the benchmarks wrote (bench/*/*.json). Run after a benchmark was run."""
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = {"mox": "mox", "mox_python": "mox, Python", "mox_cached": "mox, cached store", "mox_cached_pixels": "mox, pixels cached",
         "mox_separate": "mox, operations apart", "dali": "DALI", "ffcv": "FFCV", "ffcv_kept": "FFCV, the same bytes", "session": "plain Session", "torch": "PyTorch", "keras": "Keras",
         "limit": "limit", "least": "least client", "s5cmd": "s5cmd"}
NETWORKS = ("mox", "session", "torch", "keras")


def load(file):
    path = ROOT / "bench" / file
    return json.loads(path.read_text()) if path.exists() else {"rows": {}, "figures": {}}


def number(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def best(row, who, figure):
    """Median and setting of what counts of a contender, or None."""
    setting = row["best"].get(who, {}).get(figure)
    return (row["medians"][who][setting][figure], setting) if setting else (None, None)


def ratio(row, ours, peer, figure):
    found = row["ratios"].get(f"{ours}/{peer}", {}).get(figure)
    if not found:
        return ""
    text, pairs = f"{found['ratio']:.2f}", found["pairs"]
    return text + (f" ({min(pairs):.2f}-{max(pairs):.2f})" if len(pairs) > 1 else "")


def rounds(row):
    return max(run["round"] for run in row["runs"])


def lines_of(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(cells) + " |" for cells in rows)])


def training(task):
    row = load("training/results.json")["rows"][task]
    figures = {"steps_per_second": "steps/s", "seconds": "whole process, s", "cpu_seconds": "CPU, s", "peak_mib": "peak, MiB"}
    peers = [who for who in row["medians"] if not who.startswith("mox")]
    cells = []
    for who in row["medians"]:
        setting = best(row, who, "steps_per_second")[1]
        name = NAMES[who] + (f", {setting}" if who in peers else "")
        values = [best(row, who, figure) for figure in figures]
        shown = [number(value) + (f" ({of})" if of != setting else "") for value, of in values]
        cells.append([name, *shown, *([ratio(row, "mox", who, "steps_per_second"), ratio(row, "mox", who, "seconds")] if who in peers else ["", ""])])
    head = [f"{row['parameters']['steps']:,} steps, {rounds(row)} rounds", *figures.values(), "mox / it, steps/s", "mox / it, whole process"]
    return lines_of(head, cells)


def networks():
    cells = []
    for name, row in load("train_networks/results.json")["rows"].items():
        found = [best(row, who, "images_per_second") for who in NETWORKS]
        shown = [number(value) + (f" ({setting})" if who != "mox" and setting else "") for who, (value, setting) in zip(NETWORKS, found)]
        peaks = [number(best(row, who, "peak_mib")[0]) for who in NETWORKS]
        cells.append([*name.split(), str(rounds(row)), *shown, *(ratio(row, "mox", peer, "images_per_second") for peer in NETWORKS[1:]), ", ".join(peaks)])
    return lines_of(["network", "dtype", "rounds", *(NAMES[who] for who in NETWORKS), *(f"mox / {NAMES[who]}" for who in NETWORKS[1:]),
                     "peak MiB: " + ", ".join(NAMES[who] for who in NETWORKS)], cells)


def inference():
    cells = []
    for name, row in load("inference/results.json")["rows"].items():
        def of_mox(setting, medians=row["medians"]):
            return number(medians.get("mox", {}).get(setting, {}).get("images_per_second"))

        ours, limit, exported = (best(row, who, "images_per_second")[0] for who in ("mox", "limit", "mox exported"))
        peers = [best(row, who, "images_per_second") for who in ("onnx", "torch")]
        fastest = max(value or 0 for value, _ in peers)
        cells.append([*name.split(), str(rounds(row)), number(ours), of_mox("TensorFlow's threads"), of_mox("and as it is built"), number(exported),
                      *(number(value) + (f" ({setting})" if value and setting != "default" else "") for value, setting in peers),
                      f"{ours / fastest:.2f}" if fastest else "", *((number(limit), f"{ours / limit:.2f}") if limit else ("", "")),
                      f"{limit / fastest:.2f}" if limit and fastest else "", number(best(row, "mox", "peak_mib")[0])])
    return lines_of(["network", "dtype", "batch", "rounds", "mox", "on TensorFlow's threads", "and nothing folded or packed", "exported, TensorFlow's loader",
                     "ONNX Runtime", "PyTorch", "mox / best peer", "limit", "mox / limit", "limit / best peer", "peak MiB"], cells)


def data():
    cells = []
    for name, row in load("data/results.json")["rows"].items():
        peers = {who: best(row, who, "images_per_second") for who in row["medians"] if not who.startswith("mox") and who not in ("limit", "entropy")}
        shown = "; ".join(f"{NAMES.get(who, who)} {number(value)} ({setting})" for who, (value, setting) in peers.items()) or "none"
        for ours in filter(lambda who: who.startswith("mox"), row["medians"]):
            cells.append([name, NAMES[ours], number(best(row, ours, "images_per_second")[0]), shown,
                          "; ".join(ratio(row, ours, who, "images_per_second") for who in peers),
                          "; ".join(ratio(row, ours, who, "cpu_seconds") for who in peers),
                          ratio(row, ours, "limit", "images_per_cpu_second"), number(best(row, ours, "mib_over_start")[0])])
    return lines_of(["row", "ours", "images/s", "peers, best setting", "ours / each", "CPU of the whole process, ours / each",
                     "images a CPU second, to the limit", "MiB over TensorFlow's own"], cells)


def copies():
    titles = {"many_up": "3,671 files, 222 MB, up", "many_down": "3,671 files, down", "large_up": "1 GiB up", "large_down": "1 GiB down",
              "list": "ls -r of 100,000 keys"}
    rows = load("file/results.json")["rows"]
    return lines_of([f"mox / s5cmd, {rounds(rows['list'])} rounds", "wall", "client's CPU", "peak memory", "s5cmd's setting for wall"],
                    [[title, *(ratio(rows[name], "mox", "s5cmd", figure) for figure in ("seconds", "cpu_seconds", "peak_mib")),
                      best(rows[name], "s5cmd", "seconds")[1]] for name, title in titles.items()])


def loop():
    row = load("run/results.json")["rows"]["loop"]
    names = {"session": "`Session::RunCallable` on the same graph, threads as `mox::run` chooses them", "mox": "the training loop",
             "mox with hook": "with a hook that fetches the loss",
             "mox with hook, log, summaries": "with the hook, a log line every 10 steps, summaries every 100"}
    return lines_of(["", "µs a step"], [[names[who], number(best(row, who, "us_per_step")[0])] for who in row["medians"]])


def ours_of(row, figure):
    """Ours, of what counts; None without it."""
    return best(row, "mox", figure)[0] if "mox" in row.get("best", {}) else None


def memory():
    rows = load("memory/results.json")["rows"]
    cells = []
    for network in dict.fromkeys(name.split()[0] for name in rows):
        of = [rows.get(f"{network} {dtype}") for dtype in ("float32", "bfloat16")]
        cells.append([network, str(next(row for row in of if row)["parameters"]["batch"])])
        for row in of:
            peer = best(row, "torch", "peak_mib")[0] if row else None
            cells[-1] += [number(row and ours_of(row, "peak_mib")), number(peer), row and ratio(row, "mox", "torch", "peak_mib") or ""]
    return lines_of(["network", "batch", *(f"{dtype}: {what}" for dtype in ("float32", "bfloat16") for what in ("mox", "PyTorch", "mox / it"))], cells)


def curves():
    """A row a point, in the order of the curve."""
    rows = load("curves/results.json")["rows"]
    figures = {"samples_per_second": "images/s", "cpu_ms_per_sample": "CPU ms an image", "peak_mib": "peak MiB"}
    return lines_of(["curve", "", "rounds", *figures.values()],
                    [[name.rsplit(maxsplit=1)[0], number(float(name.rsplit(maxsplit=1)[1])), str(rounds(row)), *(number(ours_of(row, f)) for f in figures)]
                     for name, row in rows.items() if not name.startswith("files")])


CHART = ROOT / "docs/curves.svg"


def curve_chart():
    """An SVG: a panel a curve, images/s (the line) and peak memory (dashed) over the curve's points, each from 0 to its largest."""
    panels = {}
    for name, row in load("curves/results.json")["rows"].items():
        if not name.startswith("files"):
            curve, x = name.rsplit(maxsplit=1)
            panels.setdefault(curve, []).append((int(x), ours_of(row, "samples_per_second"), ours_of(row, "peak_mib")))
    width, height, left, top, out = 320, 220, 50, 36, []
    for place_of, (curve, points) in enumerate(panels.items()):
        x0, y0 = place_of % 2 * width + left, place_of // 2 * height + top
        wide, high = width - left - 20, height - top - 40
        out.append(f'<text x="{x0}" y="{y0 - 14}" font-weight="bold">{curve}</text>')
        out.append(f'<path d="M{x0} {y0}v{high}h{wide}" fill="none" stroke="#888"/>')
        for which, style, anchor, place in ((1, 'stroke="#06c"', "end", x0 - 4), (2, 'stroke="#c60" stroke-dasharray="4 3"', "start", x0 + wide - 30)):
            most = max(point[which] for point in points)
            spots = [(x0 + wide * i / max(1, len(points) - 1), y0 + high * (1 - point[which] / most)) for i, point in enumerate(points)]
            out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in spots)}" fill="none" stroke-width="2" {style}/>')
            unit = "/s" if which == 1 else " MiB"
            out.append(f'<text x="{place}" y="{y0 + (4 if which == 1 else -14)}" text-anchor="{anchor}" font-size="10">{number(most)}{unit}</text>')
        for i, point in enumerate(points):
            out.append(f'<text x="{x0 + wide * i / max(1, len(points) - 1):.1f}" y="{y0 + high + 14}" text-anchor="middle" font-size="10">{point[0]}</text>')
    size = f'width="{2 * width}" height="{(len(panels) + 1) // 2 * height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12"><rect {size} fill="#fff"/>\n' + "\n".join(out) + "\n</svg>\n"


def many():
    """Every figure of every side."""
    figures = {"list_seconds": "listing or counting, s", "listed_mib": "MiB it takes", "first_batch_seconds": "then to the first batch, s",
               "resume_seconds": "to the first from the middle, s", "seconds": "whole process, s", "cpu_seconds": "CPU s", "peak_mib": "peak MiB"}
    cells = []
    for name, row in load("many/results.json")["rows"].items():
        for who in row["medians"]:
            shown = [number(best(row, who, figure)[0]) for figure in figures]
            cells.append([name, NAMES.get(who, who), str(rounds(row)), *shown])
    return lines_of(["", "", "rounds", *figures.values()], cells)


TABLES = {"photos": lambda: training("photos"), "lenet": lambda: training("lenet"), "softmax": lambda: training("softmax"), "networks": networks, "inference": inference, "data": data, "copies": copies, "loop": loop,
          "memory": memory, "curves": curves, "many": many}


def with_tables(page):
    """The page with the text between `<!-- table: NAME -->` and `<!-- end of table -->` made anew."""
    return re.sub(r"(<!-- table: (\w+) -->\n)(?:.*?\n)??(<!-- end of table -->)", lambda m: m[1] + TABLES[m[2]]() + "\n" + m[3], page, flags=re.S)


if __name__ == "__main__":
    page = ROOT / "docs" / "benchmarks.md"
    page.write_text(with_tables(page.read_text()))
    CHART.write_text(curve_chart())
