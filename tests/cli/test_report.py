"""mox report: one page, no outside resource, that a browser shows."""

import html.parser
import json
import re
import shutil
import subprocess

import pytest

from program import mox, train_args


class Page(html.parser.HTMLParser):
    """Tags are closed in order; counts tags and gathers text and addresses."""

    VOID = {"meta", "link", "img", "br", "line", "path", "circle", "i"}

    def __init__(self, text):
        super().__init__()
        self.open, self.count, self.addresses, self.text = [], {}, [], ""
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in ("meta", "link", "img", "br"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    run = tmp_path_factory.mktemp("report") / "run"
    mox(*train_args(run, 120, log_every_n_steps=10, save_summary_steps=20, save_model_steps=40, seed=1, keep_best="accuracy",
                    gradient_clip=5, save_histogram_steps=60))
    mox("eval", f"--checkpoint_url={run}", "--max_number_of_steps=20", "--batch_size=50")
    mox("report", run, "--title=A <run>")
    return run


def test_eval_leaves_what_the_report_needs(reported):
    record = json.loads((reported / "eval.json").read_text())
    assert sum(map(sum, record["confusion"])) == record["samples"] == 1000
    right = sum(row[i] for i, row in enumerate(record["confusion"]))
    assert right == round(record["accuracy"] * 1000)
    assert record["classes"][9] == "Ankle boot"
    wrong = [p["probability"] for p in record["pictures"] if p["label"] != p["predicted"]]
    assert wrong == sorted(wrong, reverse=True) and len(wrong) == 16
    assert (reported / "eval.json").stat().st_size < 100_000
    config = json.loads((reported / "train.json").read_text())
    assert config["gradient_clip"] == 5 and config["optimizer"] == "momentum"


def test_the_page_holds_all_parts_and_needs_nothing_else(reported):
    text = (reported / "report.html").read_text()
    page = Page(text)
    assert page.count["figure"] == 4, "loss, accuracy, learning rate, throughput"
    assert page.count["img"] == len(json.loads((reported / "eval.json").read_text())["pictures"])
    for part in ("A <run>", "Loss", "Accuracy", "Learning rate", "Throughput", "Confusion matrix", "Sample predictions", "Configuration",
                 "learning_rate_strategy", "Ankle boot", "model.ckpt-120", "best: accuracy"):
        assert part in page.text, part
    assert all(address.startswith("data:") for address in page.addresses)
    assert not re.search(r"url\(|@import|<script|https?://", text)


def test_a_run_without_an_evaluation(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "eval.json").unlink(missing_ok=True)
    mox("report", run, f"--output_url={tmp_path / 'page.html'}")
    page = Page((tmp_path / "page.html").read_text())
    assert "lenet on fashion_mnist" in page.text and "Confusion matrix" not in page.text


def test_a_folder_that_is_no_run(tmp_path):
    failed = mox("report", tmp_path, check=False)
    assert failed.returncode == 1 and "it is no run's folder" in failed.stderr
    failed = mox("report", tmp_path / "none", check=False)
    assert failed.returncode == 1 and "there is no run folder" in failed.stderr


def test_a_browser_shows_it(reported, tmp_path):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed (scripts/setup.d/40-chromium-test.sh)")
    shown = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
                            "--virtual-time-budget=2000", "--window-size=1280,2600", f"--screenshot={tmp_path}/page.png",
                            "--enable-logging=stderr", f"file://{reported}/report.html"], capture_output=True, text=True, timeout=120)
    assert (tmp_path / "page.png").stat().st_size > 50_000, shown.stderr
    assert "CONSOLE" not in shown.stderr, "the browser complains about the page"


def test_a_run_that_went_wrong_is_shown_too(tmp_path):
    """NaN is null in JSON; a curve that is constant but for rounding has an axis."""
    run = tmp_path / "run"
    run.mkdir()
    lines = [{"time": i, "step": i, "global_step": i, "sample/sec": 50.0, "loss": 0.1 + (i % 2) * 2e-17} for i in range(300)]
    lines[150]["loss"] = 0.10000000000000002
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "eval.json").write_text(json.dumps({"split": "test", "samples": 2, "loss": None, "accuracy": 0.5, "classes": ["a", "b"],
                                               "confusion": [[1, 0], [1, 0]], "pictures": []}))
    mox("report", run)
    page = Page((run / "report.html").read_text())
    assert "nan" in page.text.lower() and "50.00%" in page.text


def test_of_many_classes_those_with_the_least_recall(tmp_path):
    classes = [{"class": f"<kind {i}>", "samples": 4 if i % 2 else 0, "recall": i / 10_000 if i % 2 else None, "precision": None}
               for i in reversed(range(10_000))]
    (tmp_path / "log.jsonl").write_text(json.dumps({"time": 0, "step": 0, "global_step": 0, "loss": 1.0}) + "\n")
    (tmp_path / "eval.json").write_text(json.dumps({"split": "test", "samples": 2, "accuracy": 0.5, "by_class": classes}))
    mox("report", tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    assert "The 50 of 5000 classes with samples that are recognised least" in page.text
    assert "<kind 1>" in page.text and "<kind 99>" in page.text and "<kind 101>" not in page.text and "<kind 2>" not in page.text
    assert (tmp_path / "report.html").stat().st_size < 50_000


def test_lost_steps_are_not_drawn(tmp_path):
    """Killed after step 5, gone on from 2, at 3 now: what was logged of 4 and 5 belongs to weights that nobody has."""
    lines = [{"time": t, "step": s, "global_step": s, "sample/sec": 1.0, "loss": 100.0 + t}
             for t, s in enumerate([0, 1, 2, 3, 4, 5, 2, 3])]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mox("report", tmp_path)
    assert "3 last logged global step" in Page((tmp_path / "report.html").read_text()).text
