"""mox train validates while it trains: own images without a split, the best, early stopping, kills, several workers."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import numpy as np
import pytest
from cluster import Cluster, alone
from program import MOX, mox, train_args
from test_own_images import evaluate
from test_report import Page


def validations(text):
    return [line for line in text.splitlines() if line.startswith("[Validation]")]


def logged(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    """Class folders without a part to evaluate on, a fifth of which is kept back."""
    folder = tmp_path_factory.mktemp("kept_back") / "run"
    done = mox("train", "--model_name=lenet", f"--data_url={pictures / 'train'}", f"--train_url={folder}", "--batch_size=32",
               "--channels=1", "--seed=1", "--optimizer=adam", "--learning_rate_strategy=10:0.001", "--num_epochs=6",
               "--validation_split=0.2", "--eval_every_n_epochs=2", "--keep_best=accuracy")
    return folder, done.stderr


def test_what_is_told(run, pictures):
    folder, said = run
    kept = json.loads((folder / "validation_split.json").read_text())["images"]
    all_of = {kind: len(list((pictures / "train" / kind).iterdir())) for kind in ("t-shirt", "trouser", "pullover")}
    for kind, count in all_of.items():
        assert sum(name.startswith(f"{kind}/") for name in kept) == round(count / 5)
    trained = sum(all_of.values()) - len(kept)
    assert f"{trained} images of 3 classes to train on (split train), {len(kept)} to validate on (split validation)" in said
    lines = validations(said)
    assert [re.match(r"\[Validation\] epoch ([\d.]+), step: \d+\tsamples: (\d+)\tloss: [\d.]+\taccuracy: [\d.]+\t", line).group(2)
            for line in lines] == [str(len(kept))] * 3
    assert re.search(r"^done: step \d+ \(epoch 6(\.\d+)?\), \d+ steps in \d+ s$", said, re.MULTILINE)
    assert re.search(r"^  training    loss [\d.]+, accuracy [\d.]+$", said, re.MULTILINE)
    assert re.search(r"^  validation  loss [\d.]+, accuracy [\d.]+$", said, re.MULTILINE)
    assert re.search(rf"^  best        validation/accuracy [\d.]+ at step \d+: {folder}/model.ckpt-\d+$", said, re.MULTILINE)
    assert f"  next        mox eval --checkpoint_url={folder}" in said
    assert not re.search(r"global step|log_dir", said)
    steps = re.findall(r"^step: (\d+)\tepoch: [\d.]+\tsample/sec: [\d.]+\tlr: [\d.]+\tloss: ", said, re.MULTILINE)
    assert steps and steps == [str(10 * i) for i in range(len(steps))]


def test_eval_takes_the_same_images(run, pictures):
    folder, said = run
    kept = json.loads((folder / "validation_split.json").read_text())["images"]
    result = evaluate(folder)
    last = [line for line in logged(folder) if "validation/accuracy" in line][-1]
    assert (result["split"], result["samples"]) == ("validation", len(kept)) and "trained_on" not in result
    assert result["accuracy"] == pytest.approx(last["validation/accuracy"], abs=1e-6)
    assert result["loss"] == pytest.approx(last["validation/loss"], rel=1e-5)
    headline = (folder / "eval.json").read_text()
    nowhere = mox("eval", f"--checkpoint_url={folder}", "--split=tst", check=False)
    assert nowhere.returncode == 1 and "--split is 'tst'" in nowhere.stderr and "there is all, train, validation" in nowhere.stderr
    seen = mox("eval", f"--checkpoint_url={folder}", "--split=train", "--json")
    assert "is what was trained on" in seen.stderr and json.loads(seen.stdout)["trained_on"] is True
    assert (folder / "eval.json").read_text() == headline
    assert json.loads((folder / "eval-train.json").read_text())["split"] == "train"
    assert list((folder / "eval_validation").glob("events.*")) and list((folder / "validation").glob("events.*"))
    table = mox("eval", f"--checkpoint_url={folder}").stdout.splitlines()
    assert table[1].split() == ["class", "samples", "recall", "precision"]
    assert {line.split()[0] for line in table[2:]} == {"pullover", "t-shirt", "trouser"}
    mox("report", folder)
    page = Page((folder / "report.html").read_text())
    for text in ("validation/accuracy", "validation split", "Other evaluations", "train split, which was trained on"):
        assert text in page.text, text


def test_it_goes_on_with_the_images_that_it_keeps_back(run, pictures, tmp_path):
    folder, _ = run
    args = ["train", "--model_name=lenet", f"--data_url={pictures / 'train'}", f"--train_url={folder}", "--batch_size=32",
            "--channels=1", "--optimizer=adam", "--num_epochs=7"]
    failed = mox(*args, check=False)
    assert failed.returncode == 2 and "go on with --validation_split=0.2 --validation_seed=0" in failed.stderr
    failed = mox(*args[:3], f"--train_url={tmp_path / 'a'}", *args[4:], "--eval_every_n_epochs=1", check=False)
    assert failed.returncode == 2 and "give --validation_split=0.2" in failed.stderr
    failed = mox(*args[:2], f"--data_url={pictures}", f"--train_url={tmp_path / 'a'}", *args[4:], "--validation_split=0.2", check=False)
    assert failed.returncode == 2 and f"{pictures}/eval has images to validate on" in failed.stderr
    failed = mox(*train_args(tmp_path / "a", 5, validation_split=0.2), check=False)
    assert failed.returncode == 2 and "--validation_split is for own images; fashion_mnist has the split test" in failed.stderr
    failed = mox(*train_args(tmp_path / "a", 5, early_stopping_patience=2), check=False)
    assert failed.returncode == 2 and "needs a validation while it trains" in failed.stderr
    assert not (tmp_path / "a").exists() or not list((tmp_path / "a").glob("model.ckpt*"))


def test_a_broken_image_is_named_and_costs_nothing(pictures, tmp_path):
    data = tmp_path / "data"
    for part in ("train", "eval"):
        for kind in ("trouser", "pullover"):
            (data / part / kind).mkdir(parents=True)
            for path in sorted((pictures / part / kind).iterdir())[:40]:
                (data / part / kind / path.name).write_bytes(path.read_bytes())
    (data / "eval/trouser/broken.png").write_bytes(b"no image")
    done = mox("train", "--model_name=lenet", f"--data_url={data}", f"--train_url={tmp_path / 'run'}", "--batch_size=20", "--channels=1",
               "--max_number_of_steps=8", "--eval_every_n_steps=4")
    assert f"{data}/eval/trouser/broken.png" in done.stderr
    assert [re.search(r"samples: (\d+)", line).group(1) for line in validations(done.stderr)] == ["80", "80"]
    result = mox("eval", f"--checkpoint_url={tmp_path / 'run'}", "--json", check=False)
    assert result.returncode == 1 and f"{data}/eval/trouser/broken.png" in result.stderr
    assert "1 of 81 samples" in result.stderr and json.loads(result.stdout)["left_out"] == 1
    predicted = mox("predict", f"--checkpoint_url={tmp_path / 'run'}", data / "eval/trouser", f"--output_url={tmp_path / 'a.csv'}",
                    check=False)
    assert predicted.returncode == 1 and "broken.png is left out: " in predicted.stderr
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "image,label,class,probability" and len(lines) == 41 and "broken.png" not in "".join(lines)


def on_a_terminal(*args):
    """What the program draws on one of 200 columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    process = subprocess.Popen([str(MOX), *map(str, args)], stdout=subprocess.DEVNULL, stderr=its)
    os.close(its)
    text = b""
    while True:
        try:
            text += os.read(ours, 4096)
        except OSError:  # the terminal's other end is closed
            break
    os.close(ours)
    assert process.wait() == 0, text
    return text.decode()


def test_the_bar(tmp_path):
    drawn = on_a_terminal(*train_args(tmp_path / "run", 120, seed=1, eval_every_n_steps=60))
    bar = r"\[=* *\] (\d+)/120  epoch 0\.\d+  lr 0\.01  loss [\d.]+  accuracy [\d.]+  \d+ samples/s  \d+ s left"
    assert re.search(bar, drawn), drawn
    assert re.search(r"validation: \d+ batches", drawn)
    assert re.search(r"\[=* *\] \d+/200  loss [\d.]+  accuracy [\d.]+  top5 [\d.]+  \d+ samples/s  \d+ s left", on_a_terminal("eval", f"--checkpoint_url={tmp_path / 'run'}"))
    np.save(tmp_path / "images.npy", np.zeros((6000, 28, 28, 1), np.uint8))
    assert re.search(r"\[=* *\] \d+/188  \d+ samples/s  \d+ s left", on_a_terminal("predict", f"--checkpoint_url={tmp_path / 'run'}", tmp_path / "images.npy"))


def test_kill_9_and_on(tmp_path):
    """What was killed and goes on says what one says that was not."""
    flags = dict(seed=3, eval_every_n_steps=10, eval_steps=4, plateau_patience=1, plateau_factor=0.5, keep_best="loss",
                 keep_best_mode="max", save_model_steps=5, num_inter_threads=1, num_intra_threads=1)
    def by_step(text):
        return {re.search(r"step: (\d+)\t", line).group(1): line for line in validations(text) if "before: " not in line}

    whole = by_step(mox(*train_args(tmp_path / "whole", 60, **flags)).stderr)
    assert list(whole) == ["10", "20", "30", "40", "50", "60"]
    process = subprocess.Popen([str(MOX), *train_args(tmp_path / "killed", 60, **flags)], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("[Validation]") and "step: 30\t" in line:
            break
    process.kill()
    process.communicate()
    gone_on = mox(*train_args(tmp_path / "killed", 60, **flags)).stderr
    rest = by_step(gone_on)
    assert "[Validation] before: best loss: " in gone_on
    assert 3 <= len(rest) <= 5 and rest == {step: whole[step] for step in rest}


@pytest.mark.parametrize("more", [[], ["--servers"], ["--servers", "--variable_update=distributed_replicated"]], ids=len)
def test_several_workers(tmp_path, more):
    """The chief's decisions are everybody's: the losses are those of one process on the joined batch."""
    args = ["--steps=40", "--eval_every=5", "--plateau=2", "--patience=5", "--log_first_clone=false"]
    _, reference = alone(tmp_path / "alone", *args, "--batch_size=16", f"--log_dir={tmp_path / 'alone/run'}")
    with Cluster(tmp_path / "cluster", 2, *args, "--batch_size=8", f"--log_dir={tmp_path / 'cluster/run'}", *more[1:],
                 servers=len(more[:1])) as cluster:
        cluster.results()
        joined = cluster.steps()
        said = cluster[0].said()
    assert len(validations(said)) >= 6 and "[EarlyStopping]" in said and said.count("[Plateau]") == 2
    assert "stalls" not in said and "has waited" not in cluster[1].said()
    for step, (_, losses) in joined.items():
        if step in reference:  # one step more comes before all know that it ends
            assert losses == pytest.approx(reference[step][1], abs=1e-5), step
    assert max(joined) in (29, 30) and max(reference) == 29
