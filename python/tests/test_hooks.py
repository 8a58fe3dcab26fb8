"""Hooks from Python: those written for tf.train.SessionRunHook, MoXing's own, and inter_mode."""
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy

pytestmark = pytest.mark.usefixtures("mox")


class Recorder(tf.train.SessionRunHook):
    """Uses all that the protocol has: a tensor made in begin, fetches in a structure, session.run with a feed."""

    def __init__(self, loss, placeholder):
        self.calls = []
        self.results = []
        self.ran = []
        self._loss = loss
        self._placeholder = placeholder

    def begin(self):
        self._step = tf.train.get_global_step()
        self._twice = self._placeholder * 2
        self.calls.append("begin")

    def after_create_session(self, session, coord):
        assert not coord.should_stop()
        self.calls.append(("created", int(session.run(self._step)), session.graph is self._loss.graph))

    def before_run(self, run_context):
        self.calls.append("before")
        assert run_context.original_args.fetches == [self._loss]
        return tf.train.SessionRunArgs({"loss": self._loss, "both": [self._twice, self._loss], "op": self._step.op},
                                       {self._placeholder: [1, len(self.results)]})

    def after_run(self, run_context, run_values):
        self.calls.append("after")
        self.results.append(run_values.results)
        self.ran.append(run_context.session.run([self._twice, self._step], {"mine:0": np.array([7, 8])}))
        if len(self.results) == 3:
            run_context.request_stop()

    def end(self, session):
        self.calls.append(("end", int(session.run(self._step))))
        self.kept = session


def test_a_tensorflow_hook(mox, tmp_path):
    hooks = []

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        hooks.append(Recorder(spec.loss, tf.placeholder(tf.float32, [2], name="mine")))
        spec.hooks = hooks
        return spec

    result = mox.run(**toy.options(tmp_path, 100, model_fn=model_fn))
    hook, = hooks
    assert result.steps == 3
    assert hook.calls == ["begin", ("created", 0, True)] + ["before", "after"] * 3 + [("end", 3)]
    for i, results in enumerate(hook.results):
        assert results["loss"] == results["both"][1] and results["op"] is None
        assert results["both"][0].tolist() == [2, 2 * i]
        assert hook.ran[i][0].tolist() == [14, 16] and hook.ran[i][1] == i + 1
    with pytest.raises(RuntimeError, match="the session of this run is closed"):
        hook.kept.run("mine:0")


def test_tensorflows_own_hooks(mox, tmp_path, log_lines):
    stops = []

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.hooks = [tf.train.StopAtStepHook(num_steps=5), tf.train.NanTensorHook(spec.loss),
                      tf.train.LoggingTensorHook({"loss": spec.loss}, every_n_iter=1, formatter=stops.append)]
        return spec

    assert mox.run(**toy.options(tmp_path, 100, model_fn=model_fn)).steps == 5
    assert len(stops) == 5 and "loss" in stops[0]


def test_the_manuals_placeholder(mox, tmp_path, log_lines):
    """On two devices: each has a placeholder and a hook of its own."""
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        x = tf.placeholder(dtype=tf.float32, shape=())

        class FeedRunHook(mox.AggregativeSessionRunHook):
            def before_run(self, run_context):
                return tf.train.SessionRunArgs(fetches=None, feed_dict={x: 2.5})

            def support_aggregation(self):
                return False

            def support_sync_workers(self):
                return False

            def run_inter_mode(self):
                return False

        text = tf.placeholder(tf.string, [2])
        joined = tf.strings.reduce_join(text)
        return mox.ModelSpec(loss=spec.loss, log_info={"x": x}, output_info={"text": joined},
                             hooks=[FeedRunHook(), mox.FeedSessionRunHook({text: ["a", "b"]})])

    texts = []
    mox.set_flag("num_gpus", 2)
    mox.run(**toy.options(tmp_path, 1, model_fn=model_fn, output_fn=texts.extend, output_every_n_steps=1))
    assert any(line.endswith("\tx: 2.500") for line in log_lines())
    assert [output["text"] for output in texts] == [b"ab", b"ab"]


@pytest.mark.parametrize("aggregates", [True, False])
def test_aggregation(mox, tmp_path, aggregates):
    hooks, batches = [], []

    class Hook(mox.AggregativeSessionRunHook):
        def __init__(self, mean):
            self.mean, self.got = mean, []

        def support_aggregation(self):
            return aggregates

        def before_run(self, run_context):
            return tf.train.SessionRunArgs(self.mean)

        def after_run(self, run_context, run_values):
            self.got.append(float(run_values.results))

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        mean = tf.reduce_mean(inputs[1])
        hooks.append(Hook(mean))
        return mox.ModelSpec(loss=spec.loss, output_info={"mean": mean}, hooks=[hooks[-1]])

    mox.set_flag("num_gpus", 2)
    mox.run(**toy.options(tmp_path, 3, model_fn=model_fn, output_fn=batches.extend, output_every_n_steps=1))
    means = np.array([batch["mean"] for batch in batches]).reshape(3, 2)
    if aggregates:
        assert np.allclose(hooks[0].got, means.mean(axis=1), atol=1e-6) and hooks[1].got == []
    else:
        assert np.allclose([hook.got for hook in hooks], means.T, atol=1e-6)


def counting(mode):
    """Training counts up from 0; evaluation gives 0 … 15 once."""
    return tf.data.make_one_shot_iterator(tf.data.Dataset.range(10**6 if mode == "TRAIN" else 16)).get_next()


def falling_model(make_hook):
    """A weight whose gradient is 1, and a hook that evaluates it and the mean of the batch."""

    def model_fn(inputs, mode):
        n = tf.cast(inputs[0], tf.float32)
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        loss = tf.reduce_mean(tf.ones_like(n) * w)
        mean = tf.reduce_mean(n)
        return toy.mox.ModelSpec(loss=loss, log_info={"loss": loss}, output_info={"n": inputs[0]},
                                 hooks=[make_hook({"mean": mean, "w": tf.identity(w)})])

    return model_fn


def run_evaluations(mox, tmp_path, make_hook, steps, batch_size, lr=0.0):
    trained_on = []
    result = mox.run(input_fn=counting, model_fn=falling_model(make_hook), optimizer_fn=mox.get_optimizer_fn("sgd", lr),
                     run_mode=mox.ModeKeys.TRAIN, inter_mode=mox.ModeKeys.EVAL, batch_size=batch_size, log_dir=str(tmp_path),
                     max_number_of_steps=steps, output_every_n_steps=1,
                     output_fn=lambda outputs: trained_on.append(int(outputs[0]["n"][0])))
    return result.steps, trained_on


def evaluations(lines):
    return [line for line in lines if re.match(r"\[.*\] step: \d+ ", line)]


@pytest.mark.parametrize("samples,batch,steps", [(1000, 32, [31, 63, 95]), (640, 32, [19, 39, 59, 79])])
def test_evaluations_fire_at_the_end_of_epochs(mox, tmp_path, log_lines, samples, batch, steps):
    run_evaluations(mox, tmp_path, lambda info: mox.LogEvaluationMetricHook(info, batch, samples, 16), 99, batch)
    assert evaluations(log_lines()) == [f"[VALIDATION METRICS] step: {step} mean: 7.500 w: 1.000" for step in steps]


def test_inter_mode_shares_variables_and_leaves_the_input_alone(mox, tmp_path, log_lines):
    _, trained_on = run_evaluations(mox, tmp_path, lambda info: mox.LogEvaluationMetricHook(info, 8, 16, 16), 6, 8, lr=0.25)
    assert [line.split("w: ")[1] for line in evaluations(log_lines())] == ["0.500", "0.000", "-0.500"]
    assert trained_on == [0, 8, 16, 24, 32, 40]


def test_the_manuals_example_has_no_log_dir(mox, tmp_path, log_lines):
    result = mox.run(
        input_fn=counting, model_fn=falling_model(lambda info: mox.LogEvaluationMetricHook(info, 8, 16, 16)),
        optimizer_fn=mox.get_optimizer_fn("sgd", 0.25), run_mode="TRAIN", inter_mode="EVAL", batch_size=8, max_number_of_steps=4)
    assert (result.steps, result.checkpoint) == (4, "")
    lines = log_lines()
    assert len(evaluations(lines)) == 2 and "WARNING: no log_dir is given: nothing of this training is saved, neither " \
        "checkpoints nor events" in lines


def test_early_stopping(mox, tmp_path, log_lines):
    steps, _ = run_evaluations(mox, tmp_path, lambda info: mox.EarlyStoppingHook(
        monitor_info=info, monitor="mean", batch_size=32, samples_in_train=640, samples_in_eval=32,
        evaluate_every_n_epochs=1, min_delta=0.01, patience=3, prefix="[EarlyStopping]"), 1000, 32)
    assert steps == 80
    assert evaluations(log_lines()) == [f"[EarlyStopping] step: {n} mean: 7.500 w: 1.000" for n in (19, 39, 59, 79)]


def test_early_stopping_goes_on_after_a_restart(mox, tmp_path, log_lines):
    def make_hook(info):
        return mox.EarlyStoppingHook(info, "mean", 32, 640, 32, patience=3)

    assert run_evaluations(mox, tmp_path, make_hook, 40, 32)[0] == 40
    assert run_evaluations(mox, tmp_path, make_hook, 1000, 32)[0] == 40
    assert "[EarlyStopping] the best mean so far: 7.500, evaluations without gain: 1" in log_lines()


@pytest.mark.parametrize("optimizer", ["mox", "tf"])
def test_a_plateau_lowers_the_learning_rate(mox, tmp_path, log_lines, optimizer):
    make = mox.get_optimizer_fn("sgd", 0.25) if optimizer == "mox" else lambda: tf.train.GradientDescentOptimizer(0.25)
    result = mox.run(
        input_fn=counting, model_fn=falling_model(lambda info: mox.PlateauLREarlyStoppingHook(
            info, "mean", 8, 32, 16, patience=1, lr_multiplier=0.5, max_plateaus=3)),
        optimizer_fn=make, run_mode=mox.ModeKeys.TRAIN, inter_mode="EVAL", batch_size=8, log_dir=str(tmp_path),
        max_number_of_steps=1000)
    assert [line.split("w: ")[1] for line in evaluations(log_lines())] == ["0.000", "-1.000", "-1.500", "-1.750"]
    assert result.steps == 16


def test_a_hook_of_the_user_in_inter_mode(mox, tmp_path):
    """It is called around training steps, and what it runs is the evaluation's graph, with its own feed."""
    seen = []

    class Evaluate(mox.AggregativeSessionRunHook):
        def __init__(self, mode, value):
            self.mode, self.value, self.factor = mode, value, tf.placeholder(tf.float32, [])
            self.product = value * self.factor

        def run_inter_mode(self):
            return True

        def before_run(self, run_context):
            return tf.train.SessionRunArgs(None, {self.factor: 10.0})

        def after_run(self, run_context, run_values):
            try:
                seen.append((self.mode, float(run_context.session.run(self.product))))
            except tf.errors.OutOfRangeError:
                seen.append("end")
                run_context.session.restart_input()

    def model_fn(inputs, mode):
        n = tf.cast(inputs[0], tf.float32)
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        return mox.ModelSpec(loss=tf.reduce_mean(n) * w, hooks=[Evaluate(mode, tf.reduce_mean(n))], log_info={"w": w})

    mox.run(input_fn=counting, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.1), run_mode="TRAIN",
            inter_mode="EVAL", batch_size=8, log_dir=str(tmp_path), max_number_of_steps=4)
    assert seen == [("EVAL", 35.0), ("EVAL", 115.0), "end", ("EVAL", 35.0)]


def test_an_input_that_ends_in_a_hook_ends_the_run(mox, tmp_path, log_lines):
    class Evaluate(mox.AggregativeSessionRunHook):
        def __init__(self, value):
            self.value = value

        def run_inter_mode(self):
            return True

        def after_run(self, run_context, run_values):
            run_context.session.run(self.value)

    model_fn = falling_model(lambda info: Evaluate(info["mean"]))
    result = mox.run(input_fn=counting, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.1), run_mode="TRAIN",
                     inter_mode="EVAL", batch_size=8, log_dir=str(tmp_path), max_number_of_steps=10)
    assert result.steps == 3 and result.checkpoint.endswith("model.ckpt-3")


def test_output_fn_and_evaluation_over_devices(mox, tmp_path, log_lines):
    """output_fn in every mode: (step 0, device 0), (step 0, device 1), …; EVAL's means over both devices."""
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        first = inputs[0][0, 0]
        return mox.ModelSpec(loss=spec.loss, log_info={"first": first},
                             output_info={"first": first, "text": tf.strings.join(["x", tf.as_string(tf.shape(inputs[0])[0])])})

    mox.set_flag("num_gpus", 2)
    mox.set_flag("log_first_clone", False)
    x, _ = toy.samples(96)
    expected = x[::8, 0]
    for mode, count in (("TRAIN", None), ("EVAL", 96), ("PREDICT", 96)):
        calls = []
        result = mox.run(**toy.options(tmp_path, 6 if mode == "TRAIN" else 0, count=count, model_fn=model_fn, run_mode=mode,
                                       output_fn=calls.append, output_every_n_steps=4))
        assert [len(call) for call in calls] == [8, 4], mode
        outputs = [output for call in calls for output in call]
        assert np.allclose([output["first"] for output in outputs], expected, atol=1e-6), mode
        assert {output["text"] for output in outputs} == {b"x8"}, mode
        if mode == "EVAL":
            assert np.isclose(result.metrics["first"], expected.mean(), atol=1e-6)


def test_a_list_of_optimizers(mox, tmp_path):
    def model_fn(inputs, mode):
        with tf.variable_scope("one"):
            a = tf.get_variable("a", [], initializer=tf.zeros_initializer())
        with tf.variable_scope("two"):
            b = tf.get_variable("b", [], initializer=tf.zeros_initializer())
        return mox.ModelSpec(loss=[a + b, 3 * a + 5 * b], var_scopes=[["one"], ["two"]], log_info={"a": a, "b": b})

    result = mox.run(**toy.options(tmp_path, 2, model_fn=model_fn, optimizer_fn=[
        mox.get_optimizer_fn("sgd", 1.0), lambda: tf.train.GradientDescentOptimizer(0.1)]))
    reader = tf.train.load_checkpoint(result.checkpoint)
    assert reader.get_tensor("one/a") == -2 and reader.get_tensor("two/b") == -1
