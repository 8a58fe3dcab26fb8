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


def made_up(workers, model, cpu_share=0.1, gbit=1.0, **more):
    return {"gbit": gbit, "workers": workers, "bytes": TOTAL, "buckets": 18, "wall_ms": scaling.exchange_ms(model, workers, TOTAL),
            "cpu_share": cpu_share, "wire_gb_per_s": 1.1, "shaping": "netem", **more}


def test_the_fit_finds_what_the_figures_were_made_of():
    model = {"hop_ms": 0.12, "gb_per_s": 0.115}
    rows = [made_up(n, model) for n in (2, 4, 8)] + [made_up(16, {"hop_ms": 9, "gb_per_s": 0.01}, cpu_share=0.9)]
    found = scaling.fit(rows)
    assert found == {"hop_ms": pytest.approx(0.12), "gb_per_s": pytest.approx(0.115)}
    assert scaling.fit(rows[2:]) is None, "one row of the network's, one of the machine's"
    faster = [made_up(2, {"hop_ms": 0, "gb_per_s": 0.1}), made_up(8, {"hop_ms": 0, "gb_per_s": 0.12})]
    assert scaling.fit(faster)["hop_ms"] == 0, "a hop never takes less than nothing"
    for row in rows:
        row["wire_gb_per_s"] = 0.1
    assert scaling.fit(rows)["gb_per_s"] == pytest.approx(0.1), "nor does a byte take less than on the bare link"
    for row in rows:
        row["wire_gb_per_s"] = 1.1
    content = {"gbits": [1.0, 10.0], "rows": [*rows, made_up(2, model, cpu_share=0.9, gbit=10.0)]}
    assert scaling.models(content)[10.0] == {"hop_ms": pytest.approx(0.12), "gb_per_s": 1.1, "assumed": True}


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
    """Root that may make namespaces, iproute2, and a kernel with veth and a shaper."""
    probe = "ip link add port0 type veth peer name eth0 && tc qdisc add dev port0 root tbf rate 1gbit burst 256kb latency 50ms"
    return os.getuid() == 0 and bool(shutil.which("tc")) and \
        subprocess.run(["unshare", "--mount", "--net", "sh", "-c", probe], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_shape_links(), reason="needs root, namespaces and iproute2")
def test_a_short_run_measures_a_shaped_link(tmp_path):
    output = tmp_path / "scaling.json"
    before = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    done = subprocess.run([sys.executable, SCRIPT, "--workers=2", "--gbits=2", "--overlap_workers=2", "--rounds=1", f"--mox={MOX}",
                           f"--output={output}"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    content = json.loads(output.read_text())
    (row,) = content["rows"]
    assert 0.15 < row["wire_gb_per_s"] < 0.26, "2 Gbit/s are 0.25 GB/s"
    assert row["workers"] == 2 and row["wall_ms"] > 400 and len(content["overlap"]) == 3
    after = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    assert after == before and not os.path.exists("/sys/class/net/switch"), "nothing of it stays"
