"""The model of docs/scaling.md: its parts agree with the program, it finds what made-up figures were made of, its tables are the file's."""
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bench/cluster/scaling.py"
MOX = pathlib.Path(os.environ.get("MOX_BUILD", ROOT / "build/release")) / "bin/mox"
sys.path.insert(0, str(ROOT / "bench"))
spec = importlib.util.spec_from_file_location("scaling", SCRIPT)
scaling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scaling)
TOTAL = 4 * sum(scaling.gradient_sizes())


def test_gradients_and_buckets_are_the_programs():
    said = json.loads(subprocess.run([MOX, "bench", "exchange", "--rounds=1", "--warmup=0", "--json"], check=True, capture_output=True).stdout)
    sizes = scaling.gradient_sizes()
    assert (said["tensors"], said["bytes"], said["buckets"]) == (len(sizes), TOTAL, len(scaling.buckets(sizes)))


def test_hops():
    assert scaling.pieces([1000] * 10, 2) == 1, "small ones are packed"
    assert scaling.pieces([10 << 20], 2) == 40 and scaling.pieces([10 << 20], 64) == 2, "larger pieces where the way is long"
    assert scaling.hops(4, [1000]) == 6
    assert scaling.sent_bytes(2, 100) == 100 and scaling.sent_bytes(4, 100) == 150


def made_up(workers, model, cpu_share=0.1, gbit=1.0, slowed=10, **more):
    return {"gbit": gbit, "slowed": slowed, "workers": workers, "bytes": TOTAL, "buckets": 18, "cpu_share": cpu_share, "shaping": "netem",
            "wire_ms": TOTAL / model["gb_per_s"] / 1e6, "wire_limit_ms": scaling.exchange_ms({**model, "hop_ms": 0}, workers, TOTAL),
            "wall_ms": scaling.exchange_ms(model, workers, TOTAL), **more}


def test_the_fit_finds_what_the_figures_were_made_of():
    model = {"hop_ms": 0.12, "gb_per_s": 0.115}
    rows = [made_up(n, model) for n in (2, 4, 8)] + [made_up(16, {"hop_ms": 9, "gb_per_s": 0.01}, cpu_share=0.9)]
    assert scaling.fit(rows) == {"hop_ms": pytest.approx(0.12), "gb_per_s": pytest.approx(0.115)}
    assert scaling.fit(rows[2:]) is None, "one row of the network's, one of the machine's"
    for row in rows:
        row["wall_ms"] /= 2
    assert scaling.fit(rows)["hop_ms"] == 0, "a hop never takes less than nothing"


def test_what_a_hop_costs_the_processors_is_what_rows_at_full_rate_took_longer():
    slow, fast = {"hop_ms": 0.12, "gb_per_s": 0.115}, {"hop_ms": 0.11, "gb_per_s": 1.0}
    rows = [made_up(n, slow) for n in (2, 4, 8)] + [made_up(n, fast, gbit=10.0) for n in (2, 4, 8)]
    at_full_rate = [made_up(n, {"hop_ms": 0.05, "gb_per_s": 0.11}, slowed=1, shaping="tbf, no delay") for n in (2, 4)]
    found = scaling.models({"gbits": [1.0, 10.0], "rows": [*at_full_rate, *rows]})
    assert found[1.0] == {"hop_ms": pytest.approx(0.12), "gb_per_s": pytest.approx(0.115), "own_hop_ms": pytest.approx(0.05)}
    assert found[10.0] == {"hop_ms": pytest.approx(0.11), "gb_per_s": pytest.approx(1.0), "own_hop_ms": pytest.approx(0.05)}
    assert scaling.whole(found[10.0])["hop_ms"] == pytest.approx(0.16)
    with_delay = [made_up(n, {**slow, "hop_ms": 0.17}, slowed=1) for n in (2, 4)]
    assert scaling.models({"gbits": [1.0], "rows": [*with_delay, *rows]})[1.0]["own_hop_ms"] == pytest.approx(0.05)


def test_what_is_left_over_of_a_backward_pass():
    assert scaling.left_over_ms(900, 18, 0, 1) == 900
    assert scaling.left_over_ms(900, 18, 500, 0.9) == 450
    assert scaling.left_over_ms(900, 18, 5000, 1) == 50, "the last bucket"
    rows = [{"wall_ms": 500 + 450, "backward_ms": 500, "buckets": 18}, {"wall_ms": 5000 + 50, "backward_ms": 5000, "buckets": 18}]
    assert scaling.fit_overlap(rows, 900) == pytest.approx(0.9)


def test_the_pages_tables_are_the_files():
    page = scaling.PAGE.read_text()
    assert scaling.with_tables(page, json.loads((SCRIPT.parent / "scaling.json").read_text())) == page, "run bench/cluster/scaling.py --docs --only_docs"


def can_shape_links():
    """Root that may make namespaces, iproute2, and a kernel with netem, or with tun devices."""
    probe = "ip link add probe type veth peer name probed && { test -e /dev/net/tun || tc qdisc add dev probe root netem delay 1ms; }"
    return os.getuid() == 0 and bool(shutil.which("tc")) and \
        subprocess.run(["unshare", "--mount", "--net", "sh", "-c", probe], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_shape_links(), reason="needs root, namespaces and iproute2")
def test_a_short_run_measures_a_slowed_link(tmp_path):
    output = tmp_path / "scaling.json"
    before = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    done = subprocess.run([sys.executable, SCRIPT, "--workers=2", "--gbits=20", "--slowed=20", "--check=", "--overlap_workers=0", "--rounds=1",
                           f"--mox={MOX}", f"--output={output}"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    content = json.loads(output.read_text())
    (row,) = content["rows"]
    assert 1 < row["wire_gb_per_s"] < 2.6, "20 Gbit/s are 2.5 GB/s"
    assert row["workers"] == 2 and row["wall_ms"] > 40 and content["overlap"] == []
    after = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    assert after == before and not os.path.exists("/sys/class/net/switch"), "nothing of it stays"
