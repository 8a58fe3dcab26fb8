"""What goes wrong at night: kills, signals, full disks, wrong input."""

import gzip
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

from program import DATA, MOX, mox, train_args


def checkpoint_of(run):
    """The step that the `checkpoint` file names; 0 without one. The named files must be there."""
    state = run / "checkpoint"
    if not state.exists():
        return 0
    for name in re.findall(r'all_model_checkpoint_paths: "([^"]+)"', state.read_text()):
        assert (run / (name + ".index")).exists(), f"checkpoint names {name}, which is missing"
        assert (run / (name + ".data-00000-of-00001")).exists()
    return int(re.search(r'model_checkpoint_path: "model.ckpt-(\d+)"', state.read_text()).group(1))


def saving(run):
    """The step of a save that was under way when the process was killed; None without one."""
    state = run / "checkpoint"
    found = re.search(r'^# moxing saving "model.ckpt-(\d+)"$', state.read_text() if state.exists() else "", re.M)
    return int(found.group(1)) if found else None


def left_in(run):
    """Files of checkpoints that no `checkpoint` file names, and whatever is temporary."""
    named = set(re.findall(r'all_model_checkpoint_paths: "([^"]+)"', (run / "checkpoint").read_text()))
    return sorted(name for name in os.listdir(run)
                  if ".tempstate" in name or name.endswith(".tmp") or name.startswith((".exporting-", ".mox_write_test"))
                  or (name.startswith("model.ckpt-") and name.rsplit(".", 1)[0] not in named))


def test_kill_9_at_20_random_moments(tmp_path):
    """Every restart resumes from the newest checkpoint. Lost are at most one save interval and the steps of the save under
    way; what the kills leave does not grow."""
    run, interval, last = tmp_path / "run", 2, 0
    rng = random.Random(7)
    kills = under_way = 0
    for _ in range(20):
        args = train_args(run, 100000, save_model_steps=interval, log_every_n_steps=1, batch_size=8, keep_checkpoint_max=2)
        process = subprocess.Popen([str(MOX), *args], stderr=subprocess.PIPE, text=True)
        reached, first = last, None
        deadline = None
        while deadline is None or time.time() < deadline:
            line = process.stderr.readline()
            assert line, "training ended by itself"
            found = re.match(r"step: (\d+)\t", line)
            if found:
                reached = int(found.group(1))
                if first is None:
                    first = reached
                    deadline = time.time() + rng.uniform(0.02, 0.6)
        process.kill()
        process.wait()
        reached = max([reached] + [int(step) for step in re.findall(r"^step: (\d+)\t", process.stderr.read(), re.M)])
        process.stderr.close()
        kills += 1
        assert first == last, f"restarted at {first}, the checkpoint was {last}"
        last, begun = checkpoint_of(run), saving(run)
        if begun is not None and (run / f"model.ckpt-{begun}.index").exists():
            last = begun  # it was whole: the next run takes it
        if begun is not None:
            under_way += 1
            assert last >= begun - interval, f"the save of step {begun} was under way, kept only {last}"
        # A save waits for the one before it, so the steps beside the one under way are fewer than an interval.
        assert last >= reached - 2 * interval, f"reached step {reached}, kept only {last}"
    assert kills == 20
    assert last > 0
    assert under_way > 0, "no kill hit a save"
    mox(*train_args(run, last + 2, batch_size=8, save_model_steps=interval, keep_checkpoint_max=2))
    assert left_in(run) == []
    assert len([name for name in os.listdir(run) if name.endswith(".index")]) == 2


def test_sigterm_saves_and_stops(tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen([str(MOX), *train_args(run, 100000, log_every_n_steps=1)], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("step: 5\t"):
            process.send_signal(signal.SIGTERM)  # twice, as the program timeout does: one request
            process.send_signal(signal.SIGTERM)
            break
    rest = process.stderr.read()
    assert process.wait() == 1
    assert "stopped by SIGTERM" in rest
    assert checkpoint_of(run) >= 6


def test_a_full_disk_at_a_save(tmp_path):
    """A file system of a few MB: saving fails with an error line, training goes on, the last good checkpoint stays."""
    disk = tmp_path / "disk"
    disk.mkdir()
    # One checkpoint of LeNet with momentum is 26 MB.
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting needs root")
    try:
        run = disk / "run"
        mox(*train_args(run, 4))
        assert checkpoint_of(run) == 4
        (disk / "filler").write_bytes(b"x" * (20 << 20))
        process = subprocess.Popen([str(MOX), *train_args(run, 100000, save_model_steps=6, keep_checkpoint_max=1, log_every_n_steps=1)], stderr=subprocess.PIPE, text=True)
        freed = False
        for line in process.stderr:
            if "was not saved" in line and not freed:
                assert checkpoint_of(run) == 4
                (disk / "filler").unlink()
                freed = True
            if freed and "model.ckpt-4\"" not in (run / "checkpoint").read_text():  # saved again
                process.send_signal(signal.SIGTERM)
                break
        process.stderr.read()
        assert freed
        assert process.wait() == 1
        assert checkpoint_of(run) > 4
    finally:
        subprocess.run(["umount", "-l", str(disk)])


def copied_data(folder):
    folder.mkdir()
    for name in os.listdir(DATA):
        shutil.copy(f"{DATA}/{name}", folder / name)
    return folder


def unpacked(data, name):
    with gzip.open(data / (name + ".gz")) as f:
        return f.read()


def damage(data, kind):
    images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
    if kind == "missing file":
        (data / (images + ".gz")).unlink()
    elif kind == "wrong magic":
        body = unpacked(data, images)
        (data / (images + ".gz")).unlink()
        (data / images).write_bytes(struct.pack(">I", 0x12345678) + body[4:])
    elif kind == "truncated gz":
        packed = (data / (images + ".gz")).read_bytes()
        (data / (images + ".gz")).write_bytes(packed[: len(packed) // 2])
    elif kind == "label out of range":
        body = bytearray(unpacked(data, labels))
        body[8 + 100] = 77
        with gzip.open(data / (labels + ".gz"), "wb", compresslevel=1) as f:
            f.write(bytes(body))


@pytest.mark.parametrize("kind,expected", [
    ("missing file", "train-images-idx3-ubyte"),
    ("wrong magic", "magic"),
    ("truncated gz", "train-images-idx3-ubyte.gz"),
    ("label out of range", "77"),
])
def test_bad_data_is_an_error_before_training(tmp_path, kind, expected):
    data = copied_data(tmp_path / "data")
    damage(data, kind)
    failed = mox(*[a if not a.startswith("--data_url") else f"--data_url={data}" for a in train_args(tmp_path / "run", 10)], check=False)
    assert failed.returncode == 1
    assert expected in failed.stderr, failed.stderr
    assert "step: 0" not in failed.stderr
    assert len(failed.stderr.splitlines()) <= 3, failed.stderr


@pytest.mark.parametrize("flags,expected", [
    ({"batch_size": 0}, "--batch_size is 0"),
    ({"model_name": "lenet5"}, "lenet"),
    ({"dataset_name": "emnist"}, "fashion_mnist"),
    ({"optimizer": "sdg"}, "momentum"),
    ({"learning_rate_strategy": "10:0.1->,20:0.1"}, "^"),
    ({"num_gpus": 0}, "--num_gpus"),
    ({"gradient_clip": -1}, "--gradient_clip"),
    ({"loss_scale_growth_steps": 0}, "--loss_scale_growth_steps"),
    ({"keep_best": "acuracy"}, "there is: loss, accuracy"),
    ({"dtype": "float8"}, "bfloat16"),
    ({"worker_hosts": "no-such-host.invalid:1,b:1"}, "the host 'no-such-host.invalid' is not known"),
    ({"train_url": "/proc/nowhere"}, "cannot be written"),
    ({"max_number_of_step": 3}, "max_number_of_step"),
])
def test_bad_flags_are_errors_before_training(tmp_path, flags, expected):
    args = [a for a in train_args(tmp_path / "run", 10) if a.split("=")[0].lstrip("-") not in flags]
    failed = mox(*args, *[f"--{k}={v}" for k, v in flags.items()], check=False)
    assert failed.returncode == 2, failed.stderr
    assert expected in failed.stderr
    assert "step: 0" not in failed.stderr


def test_eval_without_a_checkpoint(tmp_path):
    failed = mox("eval", f"--checkpoint_url={tmp_path}", "--model_name=lenet", "--dataset_name=fashion_mnist", f"--data_url={DATA}", check=False)
    assert failed.returncode == 1
    assert f"--checkpoint_url '{tmp_path}' has no checkpoint" in failed.stderr
