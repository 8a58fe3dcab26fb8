"""Optimizers of the engine, and wrappers, in Python's graphs."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy

pytestmark = pytest.mark.usefixtures("mox")

TRUTH = np.array([1.0, -2.0, 3.0, -4.0])


def values(log_dir, step):
    reader = tf.train.load_checkpoint(f"{log_dir}/model.ckpt-{step}")
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def trained(mox, log_dir, steps, optimizer_fn, **changes):
    mox.run(**toy.options(log_dir, steps, optimizer_fn=optimizer_fn, **changes))
    return values(log_dir, steps)


def plain_training(steps, update, batch=8):
    """Numpy's weights (w, then b) after steps of update(step, weights, gradient)."""
    weights = np.array([0.1] * 4 + [0.0])
    for step in range(steps):
        x, y = (a[batch * step:batch * (step + 1)].astype(np.float64) for a in toy.samples(640))
        x = np.concatenate([x, np.ones((batch, 1))], 1)
        weights = update(step + 1, weights, 2 * x.T @ (x @ weights - y) / batch)
    return weights


def expect(found, weights):
    assert np.allclose(np.append(found["w"][:, 0], found["b"]), weights, atol=2e-5)


def adamw(rate, decay):
    m, v = np.zeros(5), np.zeros(5)

    def update(step, weights, gradient):
        m[:] = 0.9 * m + 0.1 * gradient
        v[:] = 0.999 * v + 0.001 * gradient**2
        corrected = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        return weights - rate * decay * weights - corrected * m / (np.sqrt(v) + 1e-7)

    return update


def test_adamw_follows_its_formula(mox, tmp_path):
    found = trained(mox, tmp_path, 10, mox.get_optimizer_fn("adamw", 0.05, weight_decay=0.1))
    expect(found, plain_training(10, adamw(0.05, 0.1)))
    assert {"w/AdamW", "w/AdamW_1", "beta1_power", "beta2_power"} <= found.keys()


def test_lamb_learns_and_resumes(mox, tmp_path):
    make = mox.get_optimizer_fn("lamb", 0.05, exclude_from_weight_decay=["b$"], weight_decay=0.001)
    mox.run(**toy.options(tmp_path, 60, optimizer_fn=make))
    result = mox.run(**toy.options(tmp_path, 120, optimizer_fn=make, save_summary_steps=1))
    assert result.steps == 60 and result.metrics["loss"] < 1.0
    assert np.isclose(values(tmp_path, 120)["beta1_power"], 0.9**121)


def test_batch_gradients_equals_a_larger_batch(mox, tmp_path):
    want = trained(mox, tmp_path / "large", 5, mox.get_optimizer_fn("momentum", 0.05), batch_size=16)
    for sync_on_apply in (False, True):
        def make():
            optimizer = mox.get_optimizer_fn("momentum", 0.05)()
            return mox.get_optimizer_wrapper_fn("batch_gradients", optimizer, num_batches=2, sync_on_apply=sync_on_apply)()

        found = trained(mox, tmp_path / f"joined_{sync_on_apply}", 10, make)
        for name in ("w", "b", "w/Momentum"):
            assert np.allclose(found[name], want[name], atol=1e-5), (name, sync_on_apply)


def test_wrappers_nest_as_the_manual_nests_them(mox, tmp_path):
    def make():
        optimizer = mox.get_optimizer_fn("sgd", learning_rate=0.1)()
        optimizer = mox.get_optimizer_wrapper_fn("lars", optimizer, ratio=0.5, weight_decay=0.01)()
        return mox.get_optimizer_wrapper_fn("batch_gradients", optimizer, num_batches=2, sync_on_apply=True)()

    def update(_, weights, gradient):
        w, g = weights[:4], gradient[:4]
        decayed = g + 0.01 * w
        ratio = 0.5 * np.linalg.norm(w) / (np.linalg.norm(g) + 0.01 * np.linalg.norm(w))
        return weights - 0.1 * np.append(ratio * decayed, gradient[4])

    expect(trained(mox, tmp_path, 10, make), plain_training(5, update, batch=16))


def test_dgc_keeps_state_on_each_device(mox, tmp_path):
    want = trained(mox, tmp_path / "plain", 10, mox.get_optimizer_fn("momentum", 0.02), batch_size=16)
    mox.set_flag("num_gpus", 2)
    make = mox.get_optimizer_wrapper_fn("dgc", mox.get_optimizer_fn("sgd", 0.02), sparsity_strategy=[0.0],
                                        momentum_factor_masking=False)
    found = trained(mox, tmp_path / "dgc", 10, make)
    assert np.allclose(found["w"], want["w"], atol=1e-5) and np.allclose(found["b"], want["b"], atol=1e-5)
    states = [name for name in found if name.startswith("w/DGC")]
    assert len(states) == 4, "velocity and what is not sent, on each of two devices"


def test_one_for_several_losses(mox, tmp_path):
    def model_fn(inputs, mode):
        with tf.variable_scope("one"):
            a = tf.get_variable("a", [], initializer=tf.zeros_initializer())
        with tf.variable_scope("two"):
            b = tf.get_variable("b", [], initializer=tf.zeros_initializer())
        return mox.ModelSpec(loss=[a + b, 3 * a + 5 * b], var_scopes=[["one"], ["two"]], log_info={"a": a})

    found = trained(mox, tmp_path, 3, mox.get_optimizer_fn("adamw", 0.1, weight_decay=0.0), model_fn=model_fn)
    assert np.isclose(found["one/a"], -0.3, atol=1e-5) and np.isclose(found["two/b"], -0.3, atol=1e-5)
    assert np.isclose(found["beta1_power"], 0.9**4), "the powers go on once a step"
    # Two optimizers: each has powers of its own.
    makes = [mox.get_optimizer_fn("adamw", 0.1, weight_decay=0.0), mox.get_optimizer_fn("lamb", 0.1)]
    found = trained(mox, tmp_path / "two", 3, makes, model_fn=model_fn)
    assert {"beta1_power", "beta1_power_1"} <= found.keys()
    assert np.isclose(found["one/a"], -0.3, atol=1e-5)


def test_by_hand_in_model_fn(mox, tmp_path):
    """minimize and apply_gradients work outside of run, as those of tf.train."""
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", [2], initializer=tf.ones_initializer(), use_resource=True)
        step = tf.train.get_or_create_global_step()
        train = mox.get_optimizer_fn("adamw", 0.1, weight_decay=0.0)().minimize(tf.reduce_sum(v), global_step=step)
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert np.allclose(session.run(v), 0.9, atol=1e-4) and session.run(step) == 1


@pytest.mark.parametrize("call, text", [
    (lambda mox: mox.get_optimizer_fn("adamm", 0.1), "there are: adadelta, adagrad, adam, adamw"),
    (lambda mox: mox.get_optimizer_fn("adamw", 0.1, weight_decai=1), "has no option 'weight_decai'; there are: beta1"),
    (lambda mox: mox.get_optimizer_fn("lamb", 0.1, weight_decay=-1), "expected 0 or more"),
    (lambda mox: mox.get_optimizer_wrapper_fn("larz", None), "there are: batch_gradients, dgc, lars"),
    (lambda mox: mox.get_optimizer_wrapper_fn("batch_gradients", None), "num_batches is 0"),
    (lambda mox: mox.get_optimizer_wrapper_fn("batch_gradients", None, 8), "takes its options by name"),
    (lambda mox: mox.get_optimizer_wrapper_fn("lars", tf.train.GradientDescentOptimizer(0.1))(), "wrap what mox.get_optimizer_fn"),
])
def test_errors(mox, call, text):
    with pytest.raises(mox.InvalidArgumentError, match=text.replace("(", r"\(").replace(")", r"\)")):
        call(mox)
