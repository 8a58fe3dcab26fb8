"""What must not pass for success: other ends than the input's, updates of layers that nobody runs, lost steps in the curves."""
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy
from moxing.errors import RunError

pytestmark = pytest.mark.usefixtures("mox")


def own_iterator(count):
    """An iterator that model_fn makes for itself."""
    iterator = tf.data.make_initializable_iterator(tf.data.Dataset.range(count))
    tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    return iterator


@pytest.mark.parametrize("mode", ["TRAIN", "EVAL", "PREDICT"])
def test_the_end_of_an_iterator_of_model_fn_is_an_error(mox, tmp_path, mode):
    mox.run(**toy.options(tmp_path, 1))

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        own = tf.cast(own_iterator(3).get_next(), tf.float32)
        spec.log_info["own"] = own
        spec.output_info["own"] = own
        return spec

    options = toy.options(tmp_path, 100, model_fn=model_fn, log_every_n_steps=1, run_mode=mode)
    with pytest.raises(RunError, match="(?s)step 3 .*End of sequence"):
        mox.run(**options, output_fn=lambda outputs: None, output_every_n_steps=1)


def test_a_function_of_the_input_that_runs_out_is_an_error(mox, tmp_path):
    """StopIteration in a py_func is TensorFlow's OutOfRange: it ended the training quietly."""
    values = iter(range(20))

    def input_fn(mode):
        x, y = toy.input_fn_of()(mode)
        one = tf.numpy_function(lambda: np.float32(next(values) * 0 + 1), [], tf.float32)
        one.set_shape([])
        return x * one, y

    with pytest.raises(Exception) as raised:
        mox.run(**toy.options(tmp_path, 100, input_fn=input_fn))
    assert "StopIteration" in repr(raised.value) + str(raised.value)


def ends_after_three():
    own = own_iterator(24)
    return lambda x: x + 0 * tf.cast(own.get_next(), tf.float32)


def raises_after_three():
    values = iter(range(24))
    return lambda x: tf.reshape(tf.py_function(lambda x: x + 0 * next(values), [x], tf.float32), [4])


@pytest.mark.parametrize("make_function", [ends_after_three, raises_after_three])
@pytest.mark.parametrize("parallel", [None, 2])
def test_what_ends_in_a_map_is_an_error(mox, tmp_path, make_function, parallel):
    def input_fn(mode):
        function = make_function()
        dataset = tf.data.Dataset.from_tensor_slices(toy.samples(640)).map(lambda x, y: (function(x), y), parallel)
        iterator = tf.data.make_initializable_iterator(dataset)
        tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
        return iterator.get_next()

    with pytest.raises((RunError, RuntimeError), match="StopIteration|End of sequence"):
        mox.run(**toy.options(tmp_path, 100, input_fn=input_fn))


class Evaluates(tf.train.SessionRunHook):
    """Runs an iterator of its own, as validation hooks for tf.Session do."""

    def __init__(self, catches):
        self.catches = catches
        self.iterator = tf.data.make_initializable_iterator(tf.data.Dataset.range(2))
        self.next = self.iterator.get_next()
        self.ends = 0

    def after_create_session(self, session, coord):
        session.run(self.iterator.initializer)

    def after_run(self, run_context, run_values):
        try:
            run_context.session.run(self.next)
        except tf.errors.OutOfRangeError:
            if not self.catches:
                raise
            self.ends += 1
            run_context.session.run(self.iterator.initializer)


@pytest.mark.parametrize("catches", [True, False])
def test_the_end_of_an_iterator_of_a_hook(mox, tmp_path, catches):
    hooks = []

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        hooks[:] = spec.hooks = [Evaluates(catches)]
        return spec

    options = toy.options(tmp_path, 9, model_fn=model_fn)
    if catches:
        assert mox.run(**options).steps == 9
        assert hooks[0].ends == 3
    else:
        with pytest.raises(tf.errors.OutOfRangeError):
            mox.run(**options)


def test_what_a_hook_raises_is_not_the_end(mox, tmp_path):
    class Raises(tf.train.SessionRunHook):
        def after_run(self, run_context, run_values):
            raise tf.errors.OutOfRangeError(None, None, "a file ended")

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.hooks = [Raises()]
        return spec

    with pytest.raises(tf.errors.OutOfRangeError, match="a file ended"):
        mox.run(**toy.options(tmp_path, 9, model_fn=model_fn))


ROWS = (np.random.RandomState(0).randn(64, 3) * [1, 5, .1] + [10, -3, .5]).astype(np.float32)


def rows_input(mode):
    dataset = tf.data.Dataset.from_tensor_slices(ROWS)
    return tf.data.make_one_shot_iterator(dataset.repeat() if mode == "TRAIN" else dataset).get_next()


def keras_model(inputs, mode):
    training = mode == "TRAIN"

    class Calls(tf.keras.layers.Layer):
        """Counts in a weight of its own how often it is used."""

        def build(self, shape):
            self.calls = self.add_weight(name="calls", shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.calls.assign(self.calls + 1.)
            return x

    x = tf.keras.layers.BatchNormalization(momentum=.5)(inputs[0], training=training)
    x = Calls()(tf.keras.layers.Dropout(.25)(x, training=training))
    block = tf.keras.Sequential([tf.keras.layers.Dense(1), tf.keras.layers.BatchNormalization()])
    y = block(x, training=training)
    mean = tf.reduce_mean(tf.square(y))
    calls = [v for v in tf.global_variables() if v.op.name.endswith("calls")][0]
    never = calls.assign(-1.)  # the user's: nobody runs it
    assert never is not None
    return toy.mox.ModelSpec(loss=mean, log_info={"loss": mean}, output_info={"x": inputs[0]})


def test_keras_layers_update_what_they_want(mox, tmp_path, log_lines):
    options = dict(input_fn=rows_input, model_fn=keras_model, batch_size=32, log_dir=str(tmp_path))
    mox.run(**options, optimizer_fn=mox.get_optimizer_fn("sgd", 0.0), run_mode="TRAIN", max_number_of_steps=20, save_model_steps=5)
    values = tf.train.load_checkpoint(str(tmp_path / "model.ckpt-20"))
    names = values.get_variable_to_shape_map()
    np.testing.assert_allclose(values.get_tensor("batch_normalization/moving_mean"), ROWS.mean(0), atol=1)
    np.testing.assert_allclose(values.get_tensor("batch_normalization/moving_variance"), ROWS.var(0), rtol=.5)
    assert values.get_tensor(next(n for n in names if n.endswith("calls"))) == 20
    inner = next(n for n in names if n.endswith("moving_mean") and n != "batch_normalization/moving_mean")
    assert np.abs(values.get_tensor(inner)).max() > 0
    seed = next(n for n in names if "seed_generator_state" in n)
    before = tf.train.load_checkpoint(str(tmp_path / "model.ckpt-15")).get_tensor(seed)
    assert (before != values.get_tensor(seed)).any(), "dropout draws the same numbers in each step"
    assert "WARNING" not in "".join(log_lines())
    # The layers of the next graph have the names of the first one's.
    assert mox.run(**options, run_mode="EVAL").steps == 2


def test_keras_layers_on_two_devices(mox, tmp_path):
    """Devices share what layers make, with the names that one device gives them: one trains on, where the other stopped."""
    def train(steps, devices, batch_size):
        mox.set_flag("num_gpus", devices)
        return mox.run(input_fn=rows_input, model_fn=keras_model, batch_size=batch_size, log_dir=str(tmp_path), run_mode="TRAIN",
                       optimizer_fn=mox.get_optimizer_fn("sgd", 0.01), max_number_of_steps=steps)

    assert train(2, 2, 16).steps == 2
    names = tf.train.load_checkpoint(str(tmp_path)).get_variable_to_shape_map()
    assert "batch_normalization/moving_mean" in names and not any("tower" in name for name in names)
    assert train(4, 1, 32).steps == 2
    assert tf.train.load_checkpoint(str(tmp_path)).get_variable_to_shape_map() == names


def test_keras_layers_on_two_devices_give_the_gradients_of_one(mox, tmp_path):
    def model_fn(inputs, mode):
        hidden = tf.keras.layers.Dense(4, activation="tanh", kernel_initializer="ones")(inputs[0])
        y = tf.keras.layers.Dense(1, kernel_initializer="ones")(hidden)
        return toy.mox.ModelSpec(loss=tf.reduce_mean(tf.square(y - 1.)))

    after = []
    for devices in (1, 2):
        mox.set_flag("num_gpus", devices)
        log_dir = str(tmp_path / str(devices))
        mox.run(input_fn=rows_input, model_fn=model_fn, batch_size=32 // devices, log_dir=log_dir, run_mode="TRAIN",
                optimizer_fn=mox.get_optimizer_fn("sgd", 0.01), max_number_of_steps=2)
        values = tf.train.load_checkpoint(log_dir)
        after.append({name: values.get_tensor(name) for name in values.get_variable_to_shape_map()})
    assert after[0].keys() == after[1].keys() and len(after[0]) == 5
    for name, value in after[0].items():
        np.testing.assert_allclose(value, after[1][name], rtol=1e-4, atol=1e-6)


def test_other_layers_on_another_device_are_told(mox, tmp_path):
    sizes = iter([4, 5])

    def model_fn(inputs, mode):
        return toy.mox.ModelSpec(loss=tf.reduce_mean(tf.keras.layers.Dense(next(sizes))(inputs[0])))

    mox.set_flag("num_gpus", 2)
    with pytest.raises(ValueError, match="the same layers in the same order"):
        mox.run(input_fn=rows_input, model_fn=model_fn, batch_size=32, log_dir=str(tmp_path), run_mode="TRAIN",
                optimizer_fn=mox.get_optimizer_fn("sgd", 0.01), max_number_of_steps=2)


@pytest.mark.eager  # the old control flow runs what a branch updates
def test_keras_layers_in_a_condition(mox, tmp_path):
    """A branch does not run what the layer updates: in a tf.function it does."""
    def model_fn_of(wrap):
        def model_fn(inputs, mode):
            layer = tf.keras.layers.BatchNormalization(momentum=.5)
            layer.build((None, 3))
            x = wrap(lambda x: tf.cond(tf.reduce_sum(x) > -1e9, lambda: layer(x, training=True), lambda: x))(inputs[0])
            loss = tf.reduce_mean(tf.square(x))
            return mox.ModelSpec(loss=loss, log_info={"loss": loss})
        return model_fn

    options = dict(input_fn=rows_input, batch_size=32, log_dir=str(tmp_path), run_mode="TRAIN", max_number_of_steps=10,
                   optimizer_fn=mox.get_optimizer_fn("sgd", 0.0))
    with pytest.raises(ValueError, match="the Keras layer 'batch_normalization.*' is called in a condition"):
        mox.run(**options, model_fn=model_fn_of(lambda f: f))
    mox.run(**options, model_fn=model_fn_of(tf.function))
    values = tf.train.load_checkpoint(str(tmp_path / "model.ckpt-10"))
    np.testing.assert_allclose(values.get_tensor("batch_normalization/moving_mean"), ROWS.mean(0), atol=1)


def test_keras_layers_in_inter_mode(mox, tmp_path):
    mox.run(input_fn=rows_input, model_fn=keras_model, batch_size=32, log_dir=str(tmp_path), run_mode="TRAIN", inter_mode="EVAL",
            optimizer_fn=mox.get_optimizer_fn("sgd", 0.0), max_number_of_steps=20)
    values = tf.train.load_checkpoint(str(tmp_path / "model.ckpt-20"))
    assert not [name for name in values.get_variable_to_shape_map() if "inter" in name]
    np.testing.assert_allclose(values.get_tensor("batch_normalization/moving_mean"), ROWS.mean(0), atol=1)


KILLED = """
import os, signal, sys
import tensorflow.compat.v1 as tf
import toy
from moxing.errors import RunError
mox = toy.mox

class Kills(tf.train.SessionRunHook):
    steps = 0

    def after_run(self, run_context, run_values):
        self.steps += 1
        while self.steps == 8 and not (os.path.exists(sys.argv[1] + "/checkpoint") and any(e.step == 6 for e in events())):
            pass  # the events of the steps that will be lost are there
        if self.steps == 8:
            os.kill(os.getpid(), signal.SIGKILL)

def events():
    for name in os.listdir(sys.argv[1]):
        if ".tfevents." in name:
            yield from tf.train.summary_iterator(os.path.join(sys.argv[1], name))

def model_fn(inputs, mode):
    spec = toy.model_fn(inputs, mode)
    spec.hooks = [Kills()]
    return spec

mox.run(**toy.options(sys.argv[1], 100, model_fn=model_fn, log_every_n_steps=1, save_summary_steps=1, save_model_steps=5))
"""


def test_no_step_is_drawn_twice(mox, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), TF_CPP_MIN_LOG_LEVEL="2")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=env, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    result = mox.run(**toy.options(tmp_path, 12, log_every_n_steps=1, save_summary_steps=1))
    assert (result.steps, result.global_step) == (7, 12)
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(12))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("values,steps", [
    ([NAN] + list(range(100, 60, -1)), 20),
    ([INF, NAN] + list(range(100, 60, -1)), 20),
    ([-INF] + list(range(100, 60, -1)), 20),
    ([NAN] * 50, 4),  # never a gain: as if it were constant
    ([5.] * 50, 4),
    ([9., NAN, 8., NAN, NAN, 7.] + list(range(6, -40, -1)), 20),
])
def test_the_best_is_a_number(mox, tmp_path, log_lines, values, steps):
    def input_fn(mode):
        data = np.array(values if mode == "EVAL" else np.ones(100), np.float32)
        return tf.data.make_one_shot_iterator(tf.data.Dataset.from_tensor_slices(data).repeat()).get_next()

    def model_fn(inputs, mode):
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        loss = w * tf.reduce_mean(tf.ones_like(inputs[0]))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, hooks=[mox.EarlyStoppingHook(
            {"val": tf.reduce_mean(inputs[0])}, "val", 1, 1, 1, patience=3, mode="min")])

    result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.0), run_mode="TRAIN",
                     inter_mode="EVAL", batch_size=1, log_dir=str(tmp_path), max_number_of_steps=20)
    assert result.steps == steps
    best = re.search(r"\(best: (.*?)\)", "".join(log_lines()))
    assert (best and best.group(1)) == (None if steps == 20 else "5.000" if values[0] == 5 else "none, as no value was finite")


def test_a_plateau_is_none_of_nan_alone(mox, tmp_path, log_lines):
    """The first value, NaN, is not what the others are compared with."""
    def input_fn(mode):
        data = np.array([NAN, 9, 8, 7, 6, 5] if mode == "EVAL" else np.ones(100), np.float32)
        return tf.data.make_one_shot_iterator(tf.data.Dataset.from_tensor_slices(data).repeat()).get_next()

    def model_fn(inputs, mode):
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        loss = w * tf.reduce_mean(tf.ones_like(inputs[0]))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, hooks=[mox.PlateauLREarlyStoppingHook(
            {"val": tf.reduce_mean(inputs[0])}, "val", 1, 1, 1, patience=1, mode="min")])

    mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 0.0), run_mode="TRAIN",
            inter_mode="EVAL", batch_size=1, log_dir=str(tmp_path), max_number_of_steps=6)
    assert "did not gain" not in "".join(log_lines())


@pytest.mark.parametrize("kind", ["tf.function", "tf.cond"])
def test_what_a_function_of_the_graph_writes_must_be_finite(mox, tmp_path, kind):
    """Not only what the graph itself assigns: an average of w that is kept in a tf.function is a weight like any other."""
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        average = tf.get_variable("average", [2], initializer=tf.ones_initializer(), trainable=False, use_resource=True)
        step = tf.cast(tf.train.get_or_create_global_step(), tf.float32)

        def update():
            return average.assign(average * tf.where(step < 2.5, 1., np.nan))

        result = tf.function(update)() if kind == "tf.function" else tf.cond(step >= 0., update, lambda: average.read_value())
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, result)
        return spec

    with pytest.raises(RunError, match="the variable average holds nan .* the last checkpoint is .*model.ckpt-2"):
        mox.run(**toy.options(tmp_path, 10, model_fn=model_fn, save_model_steps=2))


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.float64, tf.complex64])
def test_weights_of_all_types_must_be_finite(mox, tmp_path, dtype):
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        weights = tf.get_variable("weights", [3], dtype, initializer=tf.ones_initializer(), trainable=False)
        step = tf.cast(tf.train.get_or_create_global_step(), tf.float32)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, weights.assign(weights * tf.cast(tf.where(step < 2.5, 1., np.inf), dtype)))
        return spec

    with pytest.raises(RunError, match="the variable weights holds inf .* the last checkpoint is .*model.ckpt-2"):
        mox.run(**toy.options(tmp_path, 10, model_fn=model_fn, save_model_steps=2))
