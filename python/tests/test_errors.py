"""What goes wrong: in the arguments, in the user's functions, by a signal."""
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import traceback

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy
from stores import free_port


def spec_with(mox, **changes):
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        for name, change in changes.items():
            setattr(spec, name, change(spec))
        return spec
    return model_fn


BAD = {
    "no_loss": (lambda mox: {"model_fn": spec_with(mox, loss=lambda s: None)}, "lacks loss, which run_mode TRAIN needs"),
    "loss_is_no_scalar": (lambda mox: {"model_fn": spec_with(mox, loss=lambda s: s.output_info["y"])}, "must be a scalar"),
    "loss_is_a_number": (lambda mox: {"model_fn": spec_with(mox, loss=lambda s: 1.0)}, r"loss\[0\] of model_fn is float"),
    "nothing_to_train": (lambda mox: {"model_fn": spec_with(mox, loss=lambda s: tf.constant(1.0))}, "depends on no trainable variable"),
    "log_info_is_no_scalar": (lambda mox: {"model_fn": spec_with(mox, log_info=lambda s: s.output_info)}, r"log_info\['y'\] of model_fn must be a scalar"),
    "no_spec": (lambda mox: {"model_fn": lambda inputs, mode: inputs[0]}, "return mox.ModelSpec"),
    "no_export_spec": (lambda mox: {"model_fn": spec_with(mox, export_spec=lambda s: None), "export_model": "TF_SERVING"}, "lacks export_spec, which run_mode EXPORT needs"),
    "scopes_for_losses": (lambda mox: {"model_fn": spec_with(mox, var_scopes=lambda s: [["a"], ["b"]])}, "2 var_scopes for 1 losses"),
    "batch_size_zero": (lambda mox: {"batch_size": 0}, "batch_size is 0, expected an integer from 1"),
    "batch_size_text": (lambda mox: {"batch_size": "8"}, "batch_size is '8', expected an integer from 1 to 1048576"),
    "no_batch_size": (lambda mox: {"batch_size": None, "input_fn": lambda mode: tf.constant(1.0)}, "batch_size is needed: without it"),
    "no_log_dir_for_the_best": (lambda mox: {"log_dir": None, "keep_best": "loss"}, "log_dir is needed with keep_best"),
    "unwritable_log_dir": (lambda mox: {"log_dir": "/proc/mox"}, "cannot be written"),
    "unknown_mode": (lambda mox: {"run_mode": "invalid"}, "TRAIN"),
    "export_mode": (lambda mox: {"run_mode": mox.ModeKeys.EXPORT}, "EXPORT is used by MoXing alone"),
    "unknown_export": (lambda mox: {"export_model": "ONNX"}, "there is mox.ExportKeys.TF_SERVING"),
    "optimizer_object": (lambda mox: {"optimizer_fn": tf.train.AdamOptimizer()}, "optimizer_fn must be a function, got AdamOptimizer"),
    "hook_of_another_kind": (lambda mox: {"model_fn": spec_with(mox, hooks=lambda s: [object()])}, "ModelSpec.hooks has a object"),
    "hooks_no_list": (lambda mox: {"model_fn": spec_with(mox, hooks=lambda s: 3)}, "expected a list of hooks"),
    "hook_without_inter_mode": (lambda mox: {"model_fn": spec_with(mox, hooks=lambda s: [mox.LogEvaluationMetricHook(s.log_info, 8, 8, 8)])}, "give inter_mode=EVAL"),
    "inter_mode_export": (lambda mox: {"inter_mode": "EXPORT"}, "inter_mode is EXPORT"),
    "inter_mode_in_eval": (lambda mox: {"inter_mode": "EVAL", "run_mode": "EVAL"}, "inter_mode is for run_mode TRAIN"),
    "inter_mode_variable": (lambda mox: {"inter_mode": "EVAL", "model_fn": lambda i, m: (tf.Variable(1.0, name="v") if m == "EVAL" else None, toy.model_fn(i, m))[1]}, "made the variable 'inter/v' in inter_mode EVAL"),
    "monitor_unknown": (lambda mox: {"model_fn": spec_with(mox, hooks=lambda s: [mox.EarlyStoppingHook(s.log_info, "acc", 8, 8, 8)])}, "monitor 'acc' is not in monitor_info; there is loss"),
    "two_optimizers": (lambda mox: {"optimizer_fn": [mox.get_optimizer_fn("sgd", 0.1)] * 2}, "2 optimizers for 1 losses"),
    "no_optimizer": (lambda mox: {"optimizer_fn": None}, "optimizer_fn is needed"),
    "wrong_optimizer": (lambda mox: {"optimizer_fn": lambda: 0.1}, "optimizer_fn returned float"),
    "no_model_fn": (lambda mox: {"model_fn": None}, "model_fn is needed"),
    "model_fn_of_one": (lambda mox: {"model_fn": lambda inputs: None}, r"called as model_fn\(inputs, mode\), but takes \(inputs\)"),
    "numpy_input": (lambda mox: {"input_fn": lambda mode: [np.zeros(4)]}, "input_fn returned ndarray as element 0"),
    "dataset_input": (lambda mox: {"input_fn": lambda mode: tf.data.Dataset.range(3)}, "returned a data set"),
    "placeholder_input": (lambda mox: {"input_fn": lambda mode: tf.placeholder(tf.float32, [4], name="mine")}, "placeholder 'mine'"),
    "unknown_network": (lambda mox: {"model_fn": lambda i, m: mox.get_model_fn("lenett", m, 10)(i[0])}, "no network 'lenett'; there are: .*lenet"),
    "fetch_strategy": (lambda mox: {"fetch_strategy_fn": lambda: None}, r"called as fetch_strategy_fn\(step, planned\)"),
    "fetch_strategy_names": (lambda mox: {"fetch_strategy_fn": lambda step, planned: ["loss"]}, "expected names out of log_info"),
    "unknown_optimizer": (lambda mox: {"optimizer_fn": lambda: mox.get_optimizer_fn("sdg", 0.1)()}, "no optimizer 'sdg'; there are: adadelta, .*sgd"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(mox, tmp_path, case):
    change, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        mox.run(**{**toy.options(tmp_path, 3), **change(mox)})
    assert isinstance(caught.value, mox.InvalidArgumentError)
    assert not (tmp_path / "checkpoint").exists()


def test_a_task_index_outside_its_hosts(mox, tmp_path):
    mox.set_flag("worker_hosts", "a:1,b:1")
    mox.set_flag("task_index", 2)
    with pytest.raises(ValueError, match="--task_index: got '2', expected 0 to 1: --worker_hosts has 2 hosts"):
        mox.run(**toy.options(tmp_path, 3))


def test_a_cluster_that_cannot_be_and_a_flag_that_is_not(mox, tmp_path):
    mox.set_flag("worker_hosts", "no-such-host.invalid:1,b:1")
    with pytest.raises(ValueError, match=r"--worker_hosts\[0\] is no-such-host.invalid:1: the host 'no-such-host.invalid' is not known"):
        mox.run(**toy.options(tmp_path, 3))
    with pytest.raises(ValueError, match="there is no flag 'gpus'"):
        mox.set_flag("gpus", 2)


def test_an_existing_export_folder(mox, tmp_path):
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.export_spec.version = "model"
        return spec

    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match=f"{tmp_path}/model exists already"):
        mox.run(**toy.options(tmp_path, 3, model_fn=model_fn, export_model=mox.ExportKeys.TF_SERVING))
    assert not (tmp_path / "checkpoint").exists()


def test_handmade_variables(mox, tmp_path, log_lines):
    def model_fn(inputs, mode):
        v = tf.Variable(0.0, name="handmade")
        spec = toy.model_fn(inputs, mode)
        return mox.ModelSpec(loss=spec.loss + tf.square(v), log_info={"v": v})

    mox.run(**toy.options(tmp_path / "one", 1, model_fn=model_fn))
    assert any("made the variable 'handmade' with tf.Variable" in line for line in log_lines())
    mox.set_flag("num_gpus", 2)
    with pytest.raises(ValueError, match=r"use tf.get_variable\('handmade'"):
        mox.run(**toy.options(tmp_path / "two", 1, model_fn=model_fn))


class Mine(Exception):
    pass


def fail(*args):
    raise Mine("on purpose")


def failing_generator():
    for i in range(20):
        yield np.ones(4, np.float32) * i
    fail()


def generator_input(mode):
    ds = tf.data.Dataset.from_generator(failing_generator, tf.float32, tf.TensorShape([4]))
    return tf.data.make_one_shot_iterator(ds).get_next(), tf.constant(1.0)


def py_func_input(mode):
    ds = tf.data.Dataset.range(100).map(lambda n: tf.py_func(lambda i: fail() if i == 50 else np.float32(i), [n], tf.float32))
    return tf.fill([4], tf.data.make_one_shot_iterator(ds).get_next()), tf.constant(1.0)


class FailingHook(tf.train.SessionRunHook):
    def __init__(self, method):
        setattr(self, method, fail)


def hook_before(inputs, mode):
    spec = toy.model_fn(inputs, mode)
    spec.hooks = [FailingHook("before_run")]
    return spec


def hook_after(inputs, mode):
    spec = toy.model_fn(inputs, mode)
    spec.hooks = [FailingHook("after_run")]
    return spec


@pytest.mark.parametrize("change", [
    {"input_fn": fail}, {"model_fn": fail}, {"optimizer_fn": fail}, {"output_fn": fail, "output_every_n_steps": 1},
    {"input_fn": generator_input}, {"input_fn": py_func_input}, {"model_fn": hook_before}, {"model_fn": hook_after}],
    ids=["input_fn", "model_fn", "optimizer_fn", "output_fn", "generator", "py_func", "hook_before", "hook_after"])
def test_what_a_user_function_raises_comes_out(mox, tmp_path, change):
    with pytest.raises(Mine, match="on purpose") as caught:
        mox.run(**toy.options(tmp_path, 0, **change))
    assert "fail" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    # What was trained until then is saved.
    steps = {hook_after: 1, generator_input: 2, py_func_input: 6}.get(change.get("model_fn") or change.get("input_fn"), 0)
    steps = 1 if "output_fn" in change else steps
    assert [path.stem for path in tmp_path.glob("model.ckpt-*.index")] == ([f"model.ckpt-{steps}"] if steps else [])


def test_a_failing_step_is_a_run_error(mox, tmp_path):
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        with tf.control_dependencies([tf.debugging.assert_less(tf.train.get_global_step(), tf.constant(3, tf.int64), message="too late")]):
            return mox.ModelSpec(loss=tf.identity(spec.loss))

    with pytest.raises(mox.RunError, match=r"step 3 \(global step 3\) failed: .*too late") as caught:
        mox.run(**toy.options(tmp_path, 10, model_fn=model_fn))
    assert isinstance(caught.value, RuntimeError)


SCRIPT = textwrap.dedent("""
    import sys, time
    import numpy as np, tensorflow.compat.v1 as tf, moxing.tensorflow as mox
    import toy
    slow = sys.argv[2] == "slow"
    if slow:
        mox.set_flag("stall_report_secs", 0.3)
    def gen():
        while True:
            time.sleep(1e6 if slow else 0.001)
            yield np.ones(4, np.float32), np.float32(1)
    def input_fn(mode):
        ds = tf.data.Dataset.from_generator(gen, (tf.float32, tf.float32), (tf.TensorShape([4]), tf.TensorShape([])))
        return tf.data.make_one_shot_iterator(ds).get_next()
    try:
        mox.run(**toy.options(sys.argv[1], 0, input_fn=input_fn, log_every_n_steps=1))
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
        raise
""")


@pytest.mark.parametrize("number,speed,code", [(signal.SIGINT, "fast", -signal.SIGINT), (signal.SIGTERM, "fast", 143), (signal.SIGINT, "slow", -signal.SIGINT)])
def test_signals_stop_at_once(tmp_path, number, speed, code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path), speed], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for_line(process, "step: 3(" if speed == "fast" else "the input stalls")
    process.send_signal(number)
    out, err = process.communicate(timeout=HANGS)
    assert process.returncode == code, err
    if speed == "slow":  # the generator sleeps for ever: TensorFlow cannot be cancelled, the process ends
        assert "the step under way does not end" in err
    else:
        assert ("KeyboardInterrupt" in out) == (number == signal.SIGINT)
        assert f"stopped by {signal.Signals(number).name} after step" in err
        assert (tmp_path / "checkpoint").exists()


def test_a_signal_while_other_workers_are_waited_for(tmp_path):
    """It ends the process, and is no error that a script might catch."""
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    process = start("import sys, moxing.tensorflow as mox, toy\nmox.set_flag('worker_hosts', sys.argv[1])\n"
                    "try:\n    mox.run(**toy.options('', 3))\nexcept Exception as e:\n    print('caught', e)\n", ",".join(hosts))
    host, port = hosts[0].split(":")
    while socket.socket().connect_ex((host, int(port))) != 0:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, out) == (143, ""), err
    assert "stopped while waiting for the other workers" in err


HANGS = 300  # seconds after which a test gives up: not how long something takes


def wait_for_line(process, text):
    """Reads what the process says until a line has the text."""
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the process ended without a line with '{text}'")


def start(script, *args):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen([sys.executable, "-c", script, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_a_second_signal_ends_the_process_at_once(tmp_path):
    process = start(SCRIPT, tmp_path, "slow")
    wait_for_line(process, "the input stalls")
    while process.poll() is None:  # two within 0.1 s are one request, as the program timeout makes it
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    _, err = process.communicate(timeout=HANGS)
    assert process.returncode == -signal.SIGTERM
    assert "does not end" not in err  # what the first signal alone leads to, two seconds later


def test_a_second_process_on_one_log_dir_is_refused(mox, tmp_path):
    process = start(SCRIPT, tmp_path, "fast")
    try:
        wait_for_line(process, "step: 3(")
        with pytest.raises(ValueError, match=f"in use: process {process.pid} on host"):
            mox.run(**toy.options(tmp_path, 3))
    finally:
        process.kill()
        process.communicate()
    assert mox.run(**toy.options(tmp_path, 3)).steps == 3  # the lock of a dead process does not block
