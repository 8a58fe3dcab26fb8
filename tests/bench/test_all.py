"""bench/all.py: the list has every benchmark, and a figure that fell is found by its direction."""
import copy
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import all as benchmarks  # noqa: E402
import results  # noqa: E402

FIGURES = {"rate": "higher", "seconds": "lower"}


def content(rate, seconds, peer=10, machine="one"):
    runs = [{"round": 1, "who": who, "setting": "default", "rate": value, "seconds": time}
            for who, value, time in (("mox", rate, seconds), ("torch", peer, 1))]
    return {"figures": FIGURES, "rows": {"a row": {"machine": machine, **results.summary(runs, FIGURES)}}}


def test_every_folder_and_every_stored_file_is_in_the_list():
    named = {benchmark.command.split("/")[0] for benchmark in benchmarks.BENCHMARKS}
    folders = {path.name for path in (ROOT / "bench").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == named
    written = {file for benchmark in benchmarks.BENCHMARKS for file in benchmark.writes}
    there = {str(path.relative_to(ROOT / "bench")) for path in (ROOT / "bench").glob("*/*.json")}
    assert there <= written, "a file that no benchmark of bench/all.py writes"
    for benchmark in benchmarks.BENCHMARKS:
        assert (ROOT / "bench" / benchmark.command.split()[0]).exists(), benchmark.name
        assert benchmark.minutes > 0


@pytest.mark.parametrize("file", sorted({file for benchmark in benchmarks.BENCHMARKS for file in benchmark.writes}))
def test_stored_files_have_figures_with_a_direction(file):
    path = ROOT / "bench" / file
    if not path.exists():
        pytest.skip("no run of it is stored")
    stored = json.loads(path.read_text())
    figures = benchmarks.figures_of(stored, benchmarks.owner(file))
    assert figures and all(better in ("higher", "lower") for _, better, _ in figures.values())
    assert benchmarks.fallen(stored, stored, benchmarks.owner(file)) == []


def test_what_fell_by_more_than_a_twentieth_is_told_by_its_direction():
    old = content(rate=20, seconds=4)
    assert benchmarks.fallen(old, content(rate=19.2, seconds=4.1), None) == []
    assert benchmarks.fallen(old, content(rate=30, seconds=2), None) == []
    assert benchmarks.fallen(old, content(rate=18, seconds=4), None) == [
        "a row: mox: rate 20 -> 18 (higher is better, 0.90 of it)", "a row: mox/torch: rate 2 -> 1.8 (higher is better, 0.90 of it)"]
    assert [line.split(" (")[0] for line in benchmarks.fallen(old, content(rate=20, seconds=5), None)] == [
        "a row: mox: seconds 4 -> 5", "a row: mox/torch: seconds 4 -> 5"]


def test_on_another_machine_ratios_alone_count():
    slow = content(rate=10, seconds=4, peer=5, machine="another")
    assert benchmarks.fallen(content(rate=20, seconds=4), slow, None) == []
    slow = content(rate=8, seconds=4, peer=5, machine="another")
    assert [line.split(" (")[0] for line in benchmarks.fallen(content(rate=20, seconds=4), slow, None)] == ["a row: mox/torch: rate 2 -> 1.6"]


def test_files_of_other_forms():
    file = "cluster/train.json"
    stored = json.loads((ROOT / "bench" / file).read_text())
    worse = copy.deepcopy(stored)
    worse[0]["mox together/apart"] /= 2
    (line,) = benchmarks.fallen(stored, worse, benchmarks.owner(file))
    assert line.startswith(f"{stored[0]['network']} ") and "mox together/apart" in line and "0.50 of it" in line


def fake(monkeypatch, tmp_path, script, needs=()):
    (tmp_path / "bench/a").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/benchmarks_tables.py").write_text("")
    (tmp_path / "bench/a/run.py").write_text(script)
    monkeypatch.setattr(benchmarks, "ROOT", tmp_path)
    monkeypatch.setattr(benchmarks, "BENCHMARKS", [benchmarks.Benchmark("a", "a/run.py --runs={rounds}", 1, needs, ("a/results.json",))])
    return ["--patience=0", f"--work_folder={tmp_path}"]


def test_runs_compares_and_tells_by_the_exit_code(monkeypatch, tmp_path, capfd):
    script = "import json, pathlib, sys\nassert sys.argv[1:] == ['--runs=2']\n"
    args = fake(monkeypatch, tmp_path, script + f"pathlib.Path('bench/a/results.json').write_text({json.dumps(json.dumps(content(18, 4)))})")
    monkeypatch.setattr(benchmarks, "stored", lambda file, ref: content(20, 4))
    assert benchmarks.main([*args, "--rounds=2"]) == 1
    assert "fell: bench/a/results.json: a row: mox: rate 20 -> 18" in capfd.readouterr().out
    monkeypatch.setattr(benchmarks, "stored", lambda file, ref: content(18, 4))
    assert benchmarks.main([*args, "--rounds=2"]) == 0
    assert benchmarks.main([*args, "--rounds=3"]) == 2
    assert "did not run: a" in capfd.readouterr().out


def test_what_is_missing_is_said(monkeypatch, tmp_path, capfd):
    args = fake(monkeypatch, tmp_path, "raise SystemExit(1)", needs=("peers",))
    args.append("--peers_python=/nowhere/python")
    assert benchmarks.main([*args, "--list"]) == 0
    assert "left out: /nowhere/python has no torch" in capfd.readouterr().out
    assert benchmarks.main(args) == 0
    assert benchmarks.main([*args, "--only=a"]) == 2
    with pytest.raises(SystemExit):
        benchmarks.main([*args, "--only=b"])
    assert "there is no benchmark b; there are: a" in capfd.readouterr().err
