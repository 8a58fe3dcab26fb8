"""results.json says what was measured: every run, the peers' settings, medians and ratios that follow from the runs."""
import importlib.util
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import results  # noqa: E402

FIGURES = {"rate": "higher", "seconds": "lower"}


def prints(**values):
    return ["sh", "-c", 'echo a log line; echo "$0"; sleep 0.02', json.dumps(values)]


def contender(who, setting, *rates):
    """rates: by round."""
    return results.Contender(who, lambda turn: prints(rate=rates[turn], times=[1, 2.5], versions={"it": 1.5}), setting)


def measured(tmp_path, contenders, rounds):
    file = tmp_path / "results.json"
    results.Results(file, "test", FIGURES, size=3).row("a row", contenders, rounds)
    return json.loads(file.read_text())


def test_every_run_is_in_the_file_and_the_better_setting_of_a_peer_counts(tmp_path):
    found = measured(tmp_path, [contender("mox", "default", 30, 20, 40), contender("peer", "eager", 10, 10, 12),
                                contender("peer", "compile", 9.5, 15, 16), contender("peer", "slow", 8, 99, 99)], 3)
    row = found["rows"]["a row"]
    assert [(r["round"], r["who"], r["setting"], r["rate"]) for r in row["runs"]] == [
        (1, "mox", "default", 30), (1, "peer", "eager", 10), (1, "peer", "compile", 9.5), (1, "peer", "slow", 8),  # below 10 / 1.2: not again
        (2, "peer", "compile", 15), (2, "peer", "eager", 10), (2, "mox", "default", 20),  # the other way round
        (3, "mox", "default", 40), (3, "peer", "eager", 12), (3, "peer", "compile", 16)]
    assert all(r["times"] == [1, 2.5] and r["seconds"] > 0 and r["peak_mib"] > 1 and "other_cpu_seconds" in r for r in row["runs"])
    assert row["best"]["peer"]["rate"] == "compile"
    assert row["ratios"]["mox/peer"]["rate"] == {"ratio": 2.0, "pairs": [3.158, 1.333, 2.5]}
    assert row["versions"]["peer"] == {"it": 1.5} and row["versions"]["mox"]["commit"]
    assert row["machine"]["cores"] >= 1 and row["machine"]["cpu"] and row["parameters"] == {"size": 3}


def test_rows_of_an_earlier_call_stay(tmp_path):
    measured(tmp_path, [contender("mox", "default", 1)], 1)
    file = tmp_path / "results.json"
    results.Results(file, "test", FIGURES).row("another", [contender("mox", "default", 2)], 1)
    assert list(json.loads(file.read_text())["rows"]) == ["a row", "another"]


def test_rows_in_turn_have_a_round_each_before_the_next(tmp_path, capfd):
    file = tmp_path / "results.json"
    results.Results(file, "test", FIGURES).rows_in_turn({"x 1": [contender("mox", "default", 1, 2)], "x 2": [contender("mox", "default", 3, 4)]}, 2)
    told = [line.split(" {")[0] for line in capfd.readouterr().err.splitlines()]
    assert told == ["x 1", "x 2", "x 2", "x 1"]
    assert [[run["rate"] for run in row["runs"]] for row in json.loads(file.read_text())["rows"].values()] == [[1, 2], [3, 4]]


def test_a_contender_that_fails_ends_the_benchmark_with_its_words(tmp_path):
    with pytest.raises(SystemExit, match="(?s)peer: .*ended with 3:.*broken"):
        measured(tmp_path, [results.Contender("peer", ["sh", "-c", "echo broken; exit 3"])], 1)


def test_times_of_steps():
    assert results.step_seconds([0, 1, 2, 4, 8], group=2) == [1, 3]
    assert results.step_seconds([0, 10, 30], steps_each=10, group=5) == [1, 2]
    assert results.steady([100, 50, 3, 1, 2]) == 2
    log = "step: 50(global step: 50)\tsample/sec: 25.000\tloss: 2\nstep: 100(global step: 100)\tsample/sec: 100.0\tloss: 1\n"
    assert results.mox_steps(log, 50) == {"step_seconds": [2, 0.5]}


@pytest.mark.parametrize("file", sorted((ROOT / "bench").glob("*/results*.json")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_stored_medians_and_ratios_are_those_of_the_stored_runs(file):
    stored = json.loads(file.read_text())
    for name, row in stored["rows"].items():
        assert {key: row[key] for key in ("medians", "best", "ratios")} == results.summary(row["runs"], stored["figures"]), name
        assert all(who in row["versions"] for who in row["medians"] if who in ("mox", "torch", "keras", "session", "tf.data", "s3torchconnector"))
        assert row["machine"]["cpu"]


def test_the_tables_of_the_page_are_those_of_the_files():
    spec = importlib.util.spec_from_file_location("benchmarks_tables", ROOT / "docs/benchmarks_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert tables.with_tables(page) == page, "run docs/benchmarks_tables.py"
    assert tables.CHART.read_text() == tables.curve_chart(), "run docs/benchmarks_tables.py"
