"""Runs in a notebook: two in one process, a progress bar, their figures, what a result shows, Ctrl-C."""
import os
import signal
import sys
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy


class Bar:
    """What tqdm.auto.tqdm is asked for."""

    made = []

    def __init__(self, desc, total, initial, unit):
        self.desc, self.total, self.n, self.unit = desc, total, initial, unit
        self.first, self.lines, self.closed = initial, [], False
        Bar.made.append(self)

    def update(self, n=1):
        self.n += n

    def write(self, line, file=None):
        assert file is sys.stderr and not self.closed
        self.lines.append(line)

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    """A tqdm, whether one is installed or not."""
    package, auto = types.ModuleType("tqdm"), types.ModuleType("tqdm.auto")
    package.__path__ = []
    package.__spec__ = types.SimpleNamespace(name="tqdm")
    auto.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm", package)
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    Bar.made = []
    return Bar.made


@pytest.mark.parametrize("num_gpus", [1, 2])
def test_a_progress_bar(mox, tmp_path, bars, log_lines, num_gpus):
    mox.set_flag("num_gpus", num_gpus)
    mox.run(**toy.options(tmp_path, 5, progress=True))
    mox.run(**toy.options(tmp_path, 12, progress=True))
    first, second = bars
    assert (first.desc, first.total, first.first, first.n, first.closed) == ("TRAIN", 5, 0, 5, True)
    assert (second.total, second.first, second.n) == (12, 5, 12)
    assert any(line.startswith("step: 0(global step: 5)") for line in second.lines)
    assert not any(line.startswith("step: ") for line in log_lines())  # above the bar, not through it
    mox.run(**toy.options(tmp_path, 0, count=24, run_mode="EVAL", progress=True, batch_size=4 if num_gpus == 2 else 8))
    assert (bars[2].desc, bars[2].total, bars[2].n) == ("EVAL", None, 3)
    mox.run(**toy.options(tmp_path, 14))
    assert len(bars) == 3  # this is no notebook
    assert any(line.startswith("step: 0(global step: 12)") for line in log_lines())


def test_the_bar_comes_by_itself_in_a_notebook(mox, tmp_path, bars, monkeypatch):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    mox.run(**toy.options(tmp_path, 2))
    assert len(bars) == 1
    mox.run(**toy.options(tmp_path, 3, progress=False))
    ipython.get_ipython = lambda: types.SimpleNamespace()  # a terminal's
    mox.run(**toy.options(tmp_path, 4))
    assert len(bars) == 1


def test_a_bar_is_closed_when_a_run_fails(mox, tmp_path, bars):
    def output_fn(outputs):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mox.run(**toy.options(tmp_path, 5, progress=True, output_fn=output_fn, output_every_n_steps=1))
    assert bars[0].closed
    mox.run(**toy.options(tmp_path / "next", 2))


def test_without_tqdm_a_bar_that_was_asked_for_is_an_error(mox, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ValueError, match="progress=True needs the package tqdm"):
        mox.run(**toy.options(tmp_path, 5, progress=True))


def test_the_figures_of_a_run(mox, tmp_path):
    pytest.importorskip("pandas")
    mox.run(**toy.options(tmp_path, 25, save_summary_steps=5))
    mox.run(**toy.options(tmp_path, 45, save_summary_steps=5))
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"time": 1, "step": 3, "glob')  # a run that was killed while it wrote
    figures = mox.history(str(tmp_path))
    assert figures.index.name == "global_step" and list(figures.index) == sorted(set(figures.index))
    assert {0, 10, 20, 25, 35} <= set(figures.index) and {"loss", "sample/sec", "learning_rate"} <= set(figures.columns)
    assert figures["loss"].dropna().iloc[-1] < figures["loss"].dropna().iloc[0] and "time" not in figures
    assert np.isclose(figures["learning_rate"].dropna(), 0.1).all()
    with pytest.raises(FileNotFoundError, match="neither log.jsonl nor events"):
        mox.history(str(tmp_path / "none"))


def test_what_a_result_shows(mox, tmp_path):
    result = mox.run(**toy.options(tmp_path, 3))
    assert repr(result) == f"RunResult(steps=3, global_step=3, metrics={{'loss': {result.metrics['loss']:.4g}}}, checkpoint={result.checkpoint!r})"
    assert repr(mox.run(**toy.options("", 1))).startswith("RunResult(steps=1, global_step=1, metrics={'loss': ")
    assert result == mox.RunResult(**vars(result))


def test_an_interrupted_cell_leaves_the_next_one_whole(mox, tmp_path):
    def output_fn(outputs):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        mox.run(**toy.options(tmp_path, 1000, output_fn=output_fn, output_every_n_steps=1))
    saved = tf.train.latest_checkpoint(str(tmp_path))
    assert saved and not saved.endswith("-1000")
    assert mox.run(**toy.options(tmp_path, 30)).global_step == 30
