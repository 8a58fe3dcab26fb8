"""Several workers as users start them: mox launch with mox train, eval and predict, and with a Python script."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from cluster import WORKER
from launching import Launch, launch
from program import MOX, mox, train_args

ONE_THREAD = {"num_inter_threads": 1, "num_intra_threads": 1}


def lines_of(out, worker):
    return [line.removeprefix(f"[worker {worker}] ") for line in out.splitlines() if line.startswith(f"[worker {worker}] ")]


@pytest.fixture(scope="module")
def trained_by_two(tmp_path_factory):
    run = tmp_path_factory.mktemp("two") / "run"
    out, err = launch("--workers=2", "--", MOX, *train_args(run, 60, seed=1, **ONE_THREAD, json=True))
    return run, out, err


def test_the_chief_alone_logs_saves_and_prints(trained_by_two):
    run, out, err = trained_by_two
    assert (run / "model.ckpt-60.index").exists()
    result = json.loads(lines_of(out, 0)[-1])
    assert result["global_step"] == 60
    assert lines_of(out, 1) == []
    assert any("step: 50\tepoch: " in line for line in lines_of(err, 0))
    assert lines_of(err, 1) == []
    assert len((run / "log.jsonl").read_text().splitlines()) == 6


def test_eval_and_predict_by_two_are_those_of_one(trained_by_two, tmp_path):
    run = trained_by_two[0]
    alone = json.loads(mox("eval", f"--checkpoint_url={run}", "--json").stdout)
    out, _ = launch("--workers=2", "--", MOX, "eval", f"--checkpoint_url={run}", "--json")
    together = json.loads(lines_of(out, 0)[-1])
    assert together["samples"] == alone["samples"] == 10000
    assert together["accuracy"] == alone["accuracy"]
    assert together["loss"] == pytest.approx(alone["loss"], rel=1e-6)
    assert lines_of(out, 1) == []
    images = tmp_path / "images.npy"
    subprocess.run([sys.executable, "-c", f"import numpy; numpy.save('{images}', numpy.random.default_rng(1).integers(0, 256, (70, 28, 28, 1)).astype('uint8'))"],
                   check=True)
    for workers, output in (1, "one.npy"), (3, "three.npy"):
        args = ["predict", f"--checkpoint_url={run}", str(images), f"--output_url={tmp_path / output}", "--batch_size=8"]
        launch(f"--workers={workers}", "--", MOX, *args)
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "three.npy").read_bytes()


@pytest.mark.parametrize("processes", [["--workers=2"], ["--workers=2", "--ps=1"]], ids=["workers", "servers"])
def test_ctrl_c_ends_all_with_a_checkpoint(tmp_path, processes):
    run = tmp_path / "run"
    cluster = Launch(*processes, "--", MOX, *train_args(run, 1000000, **ONE_THREAD))
    cluster.wait_for(run / "log.jsonl")
    time.sleep(1)
    began = time.monotonic()
    cluster.process.send_signal(signal.SIGINT)
    _, err = cluster.finish(130)
    assert time.monotonic() - began < 10
    assert list(run.glob("model.ckpt-*.index")), err


SCRIPT = """
import json, os, sys
import tensorflow.compat.v1 as tf
import moxing.tensorflow as mox

def input_fn(mode):
    data = tf.data.Dataset.from_tensor_slices(list(range(48))).shuffle(48).repeat(2)
    if sys.argv[1] == "generator":
        data = tf.data.Dataset.from_generator(lambda: iter(range(96)), tf.int32, [])
    sample = data.map(lambda x: x + 0).make_one_shot_iterator().get_next() if sys.argv[1] != "initializable" else None
    if sample is None:
        iterator = tf.data.make_initializable_iterator(data)
        tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
        sample = iterator.get_next()
    return [sample, tf.cast(sample, tf.float32) / 48]

class Seen(tf.train.SessionRunHook):
    def __init__(self, samples): self.samples = samples
    def before_run(self, context): return tf.train.SessionRunArgs(self.samples)
    def after_run(self, context, values):
        with open(sys.argv[2] + "/seen." + str(mox.get_flag("task_index")), "a") as f:
            f.write(json.dumps([int(x) for x in values.results]) + "\\n")

def model_fn(inputs, mode):
    w = tf.get_variable("w", [], initializer=tf.random_normal_initializer())
    loss = tf.reduce_mean(tf.square(inputs[1] * w - 1))
    return mox.ModelSpec(loss=loss, log_info={"loss": loss}, hooks=[Seen(inputs[0])])

result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", learning_rate=0.1),
                 run_mode=mox.ModeKeys.TRAIN, batch_size=4, log_dir=sys.argv[2] + "/run", save_model_steps=3)
print("ended at", result.global_step)
"""


@pytest.mark.parametrize("source", ["one_shot", "initializable", "generator"])
def test_a_script_trains_on_its_own_tf_data(tmp_path, source):
    (tmp_path / "train.py").write_text(SCRIPT)
    out, err = launch("--workers=2", "--pass_flags=off", "--", sys.executable, tmp_path / "train.py", source, tmp_path)
    assert lines_of(out, 0)[-1] == lines_of(out, 1)[-1] == "ended at 12", err
    seen = [[json.loads(line) for line in (tmp_path / f"seen.{worker}").read_text().splitlines()] for worker in range(2)]
    epoch = 12 if source == "generator" else 6
    for first in range(0, 12, epoch):
        numbers = sorted(sum(sum((worker[first:first + epoch] for worker in seen), []), []))
        assert numbers == list(range(8 * epoch))
    assert (tmp_path / "run/model.ckpt-12.index").exists()


def test_mox_launch_starts_a_killed_worker_again_and_the_training_goes_on(tmp_path):
    file = tmp_path / "cluster"
    cluster = Launch("--workers=2", "--restarts=1", f"--cluster_file={file}", "--pass_flags=on", "--", WORKER, f"--out={tmp_path}/steps",
                     f"--log_dir={tmp_path}/run", "--steps=60", "--step_ms=20")
    cluster.wait_for(tmp_path / "run/checkpoint")
    os.kill(json.loads(file.read_text())[1]["pid"], signal.SIGKILL)
    out, err = cluster.finish()
    assert "killed by signal 9" in err and "worker 1 (127.0.0.1:" in err
    assert [json.loads(lines_of(out, worker)[-1])["global_step"] for worker in range(2)] == [60, 60]
    assert (tmp_path / "run/model.ckpt-60.index").exists()
