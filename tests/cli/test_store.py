"""`mox` with everything in an object store: data, log_dir, checkpoints, exports; and a store that goes away."""

import json
import os
import re
import subprocess
import time

import pytest
import stores
from program import DATA, MOX, mox, train_args


@pytest.fixture(params=["versitygw", "minio"])
def store(request, tmp_path):
    with stores.Store(request.param, tmp_path / "store") as server:
        mox("file", "mkdir", "s3://bucket", env=server.env)
        yield server


def args_on_store(steps, **flags):
    args = train_args("s3://bucket/run", steps, **flags)
    return [arg.replace(f"--data_url={DATA}", "--data_url=s3://bucket/data") for arg in args]


def test_train_resume_eval_predict_export(store, tmp_path):
    env = store.env
    mox("file", "cp", "-r", DATA, "s3://bucket/data", env=env)
    mox(*args_on_store(40, save_model_steps=20, save_summary_steps=10), env=env)
    names = mox("file", "ls", "s3://bucket/run", env=env).stdout.split()
    assert {"checkpoint", "model.ckpt-20.index", "model.ckpt-40.index", "log.jsonl", "labels.txt"} <= set(names)
    assert not [name for name in names if "tmp" in name or "temp" in name]
    again = mox(*args_on_store(60), env=env)
    assert "s3://bucket/run/model.ckpt-40: going on from it" in again.stderr
    steps = [json.loads(line)["global_step"] for line in mox("file", "cat", "s3://bucket/run/log.jsonl", env=env).stdout.splitlines()]
    assert steps == [0, 10, 20, 30, 40, 50]
    done = mox("eval", "--checkpoint_url=s3://bucket/run", "--json", env=env)
    assert json.loads(done.stdout)["global_step"] == 60
    mox("export", "--checkpoint_url=s3://bucket/run", "--export_url=s3://bucket/models", env=env)
    exported = mox("file", "ls", "-r", "s3://bucket/models", env=env).stdout.split()
    assert {"1/saved_model.pb", "1/assets/labels.txt", "1/variables/variables.index"} <= set(exported)
    assert not [name for name in exported if name.startswith(".")]
    # From the store to a disk and on: the same run.
    mox("file", "cp", "-r", "s3://bucket/run", str(tmp_path / "local"), env=env)
    local = mox("eval", f"--checkpoint_url={tmp_path / 'local'}", "--json", env=env)
    assert json.loads(local.stdout)["loss"] == pytest.approx(json.loads(done.stdout)["loss"])


def checkpoints(env, run):
    return sorted(name for name in mox("file", "ls", run, env=env).stdout.split() if name.startswith("model.ckpt-"))


def test_names_on_a_store_are_no_patterns(store):
    def train(run, steps, **flags):
        args = [arg for arg in train_args(run, steps, save_model_steps=2, batch_size=4, **flags)]
        return mox(*args, env=store.env)

    train("s3://bucket/run1", 4)
    sibling = checkpoints(store.env, "s3://bucket/run1")
    train("s3://bucket/run[1]", 4, keep_checkpoint_max=1)
    assert checkpoints(store.env, "s3://bucket/run1") == sibling and len(sibling) == 4
    assert checkpoints(store.env, "s3://bucket/run[1]") == ["model.ckpt-4.data-00000-of-00001", "model.ckpt-4.index"]
    assert "s3://bucket/run[1]/model.ckpt-4: going on from it" in train("s3://bucket/run[1]", 6, keep_checkpoint_max=1).stderr
    assert checkpoints(store.env, "s3://bucket/run[1]") == ["model.ckpt-6.data-00000-of-00001", "model.ckpt-6.index"]


@pytest.mark.parametrize("store", ["versitygw"], indirect=True)
def test_half_an_export_on_a_store_goes_with_the_next(store, tmp_path):
    mox(*train_args("s3://bucket/run", 2, batch_size=4), env=store.env)
    # As a process left it that was killed: this boot, this container, a process that started at another time.
    boot = open("/proc/sys/kernel/random/boot_id").read().strip() + "/" + os.readlink("/proc/self/ns/pid")
    (tmp_path / "dead").write_text(f"host {os.getpid()} {boot} 1\n")
    (tmp_path / "alive").write_text("elsewhere 1 another-boot/pid:[1] 1\n")
    for source, target in [("dead", ".exporting-7"), ("dead", "7/variables/variables.index"), ("alive", ".exporting-8"),
                           ("alive", "8/variables/variables.index"), ("dead", "9/saved_model.pb")]:
        mox("file", "cp", str(tmp_path / source), f"s3://bucket/models/{target}", env=store.env)
    done = mox("export", "--checkpoint_url=s3://bucket/run", "--export_url=s3://bucket/models", env=store.env)
    assert done.stdout.strip() == "s3://bucket/models/10"
    names = mox("file", "ls", "-r", "s3://bucket/models", env=store.env).stdout.split()
    left = sorted(n for n in names if n[0] in ".789" and not n.endswith("/"))
    assert left == [".exporting-8", "8/variables/variables.index", "9/saved_model.pb"]


def test_a_wrong_key_and_a_missing_bucket_are_told_before_training(store):
    denied = mox(*train_args("s3://bucket/run", 10), check=False, env={**store.env, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert denied.returncode == 2 and "s3://bucket/run" in denied.stderr and "step: 0" not in denied.stderr
    assert re.search(r"status (403|400)", denied.stderr) and "wrong" not in denied.stderr.replace("a wrong", "")
    missing = mox(*train_args("s3://no-such-bucket/run", 10), check=False, env=store.env)
    assert missing.returncode == 2 and "NoSuchBucket" in missing.stderr and "step: 0" not in missing.stderr


def start_training(env, steps, **flags):
    return subprocess.Popen([str(MOX), *train_args("s3://bucket/run", steps, log_every_n_steps=20, **flags)], env=env,
                            stderr=subprocess.PIPE, text=True)


def read_until(process, pattern, seconds=300):
    lines, end = [], time.time() + seconds
    while time.time() < end:
        line = process.stderr.readline()
        assert line, "".join(lines)
        lines.append(line)
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"no {pattern} within {seconds} s: " + "".join(lines))


# One attempt a request, so that the tests do not wait for ten.
QUICK = {"MOX_RETRY": "2", "MOX_CLIENT_TIMEOUT": "2"}


@pytest.mark.parametrize("store", ["versitygw"], indirect=True)
def test_training_goes_on_while_the_store_is_away(store):
    process = start_training({**store.env, **QUICK}, 1_000_000, save_model_secs=2, save_summary_steps=20)
    read_until(process, r"step: 40\t")
    time.sleep(3)
    store.stop()
    lines = read_until(process, "was not saved")
    assert "s3://bucket/run" in lines[-1] and "tried again" in lines[-1]
    first = int(re.search(r"checkpoint of step (\d+)", lines[-1])[1])
    lines = read_until(process, rf"step: {(first // 20 + 20) * 20}\t")  # it trains on
    store.start()
    read_until(process, "summaries .* written again")
    process.terminate()
    rest = process.communicate(timeout=300)[1]
    last = re.search(r"the last checkpoint is s3://bucket/run/model.ckpt-(\d+)", rest)
    assert last and int(last[1]) > first, rest
    assert "not saved" not in rest
    logged = [json.loads(line)["global_step"] for line in mox("file", "cat", "s3://bucket/run/log.jsonl", env=store.env).stdout.splitlines()]
    assert logged == list(range(0, logged[-1] + 1, 20))  # none is missing, none is twice


@pytest.mark.parametrize("store", ["versitygw"], indirect=True)
def test_the_end_says_what_was_not_saved(store):
    process = start_training({**store.env, **QUICK}, 1_000_000, save_model_secs=2, save_summary_steps=20)
    read_until(process, r"step: 40\t")
    store.stop()
    read_until(process, "was not saved")
    process.terminate()
    rest = process.communicate(timeout=300)[1]
    assert process.returncode not in (0, None)
    assert "the last checkpoint was not saved" in rest and "s3://bucket/run" in rest
    assert re.search(r"\d+ summaries in s3://bucket/run were not saved", rest)
    assert re.search(r"\d+ lines of s3://bucket/run/log.jsonl were not saved", rest)
