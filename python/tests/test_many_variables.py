"""The variables of networks and optimizers are made many at once: what scripts see of them is what tf.get_variable makes."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from moxing.tensorflow import _variables

NETWORK = "resnet_v1_20"


def build(mox, images=None, **options):
    images = tf.zeros([2, 32, 32, 3]) if images is None else images
    return mox.get_model_fn(NETWORK, "TRAIN", 10, weight_decay=1e-4, **options)(images)[0]


def facts(graph):
    """What a script, or the engine, can see of the variables of a graph."""
    keys = [tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.TRAINABLE_VARIABLES, tf.GraphKeys.MODEL_VARIABLES, tf.GraphKeys.LOCAL_VARIABLES]
    seen = {key: [(v.name, v.op.name, v.op.type, v.dtype, v.shape.as_list(), v.trainable, v.initializer.name, v.initializer.type, v.handle.name,
                   v.value().op.type, v._shared_name, v.handle.op.get_attr("shared_name"), v.handle.device, v.initial_value.dtype,
                   v.is_initialized().dtype, v.to_proto().snapshot_name) for v in graph.get_collection(key)] for key in keys}
    return seen, len(graph.get_collection(tf.GraphKeys.UPDATE_OPS)), len(graph.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))


def one_by_one(monkeypatch):
    monkeypatch.setattr(_variables, "_at_once", lambda *_: None)


@pytest.mark.parametrize("scope", ["", "outer"])
def test_they_look_as_those_of_get_variable(mox, monkeypatch, scope):
    found = []
    for way in (lambda: None, lambda: one_by_one(monkeypatch)):
        way()
        with tf.Graph().as_default() as graph, tf.variable_scope(scope, use_resource=True) if scope else tf.device("/cpu:0"):
            build(mox)
            found.append(facts(graph))
    assert found[0] == found[1] and len(found[0][0][tf.GraphKeys.GLOBAL_VARIABLES]) > 90


def test_none_is_made_one_by_one(mox, monkeypatch):
    """resnext_b_50 has 5,227 of them: tf.get_variable took 11 s of CPU time."""
    def refuse(*_, **__):
        raise AssertionError("tf.get_variable was asked")

    with tf.Graph().as_default() as graph:
        monkeypatch.setattr(_variables.tf, "get_variable", refuse)
        mox.get_model_fn("resnext_b_50", "EVAL", 10)(tf.zeros([1, 64, 64, 3]))
        names = {v.op.name for v in tf.global_variables()}
    assert len(names) == 5227 and len(graph.get_operations()) < 45_000
    assert {"resnext_b_50/block1/unit_1/resnext_b/path_32/conv2/weights",
            "resnext_b_50/block4/unit_3/resnext_b/path_1/conv1/BatchNorm/moving_variance"} <= names


def test_paths_at_once_have_the_gradients_of_one_after_the_other(mox):
    """The first 32 paths of resnext_b_50 in TRAIN, against convolutions and batch norms of one path each on the same variables.

    What a ReLU lets through is asked once: a value that rounding alone brings to the other side of 0 changes the gradients of its whole channel,
    in one run of thirty.
    """
    with tf.Graph().as_default() as graph, tf.Session() as session:
        images = tf.constant(np.random.RandomState(1).rand(3, 32, 32, 3), tf.float32)
        end_points = mox.get_model_fn("resnext_b_50", "TRAIN", 10)(images)[1]
        scope = "resnext_b_50/block1/unit_1/resnext_b/"
        x = next(op.outputs[0] for op in graph.get_operations() if op.type == "MaxPool")
        at_once = end_points[scope + "concat"]
        variables = {v.op.name[len(scope):]: v for v in tf.trainable_variables(scope + "path_")}

        def layer(x, path, name):
            passes = graph.get_tensor_by_name(f"resnext_b_50/{scope}{name}/Relu:0")[..., 4 * path:4 * path + 4] > 0
            name = f"path_{path + 1}/{name}"
            x = tf.nn.conv2d(x, variables[name + "/weights"], 1, "SAME")
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            offset, scale = variables[name + "/BatchNorm/beta"], variables[name + "/BatchNorm/gamma"]
            return tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-5) * tf.cast(passes, tf.float32)

        one_by_one = tf.concat([layer(layer(x, path, "conv1"), path, "conv2") for path in range(32)], 3)
        weights = tf.constant(np.random.RandomState(2).randn(*at_once.shape), tf.float32)
        of = [x, *variables.values()]
        found = [tf.gradients(tf.reduce_sum(y * weights), of) for y in (at_once, one_by_one)]
        session.run(tf.variables_initializer(tf.global_variables("resnext_b_50/conv1") + tf.global_variables(scope)))
        outputs, (first, second) = session.run([[at_once, one_by_one], found])
    assert len(of) == 1 + 32 * 6
    np.testing.assert_allclose(*outputs, atol=3e-5)
    largest = max(np.abs(gradient).max() for gradient in second)
    for a, b in zip(first, second):
        np.testing.assert_allclose(a, b, atol=3e-5 * largest)


def test_they_train_save_and_restore(tmp_path, mox):
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(np.random.RandomState(1).rand(4, 32, 32, 3), tf.float32)
        loss = tf.reduce_mean(tf.square(build(mox, images)))
        step = tf.train.MomentumOptimizer(0.01, 0.9).minimize(loss)
        assert len(session.run(tf.report_uninitialized_variables())) > 90
        session.run(tf.global_variables_initializer())
        assert len(session.run(tf.report_uninitialized_variables())) == 0
        before = session.run(loss)
        for _ in range(3):
            session.run(step)
        variable = tf.trainable_variables()[0]
        value, after = session.run([variable, loss])
        assert after < before and value.shape == (3, 3, 3, 16)
        session.run(variable.assign(tf.zeros_like(variable)))
        assert not session.run(variable).any()
        path = tf.train.Saver().save(session, str(tmp_path / "model.ckpt"))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().restore(session, path)
        assert not session.run(variable).any()


def test_reuse(mox):
    with tf.Graph().as_default():
        build(mox)
        count = len(tf.global_variables())
        with pytest.raises(ValueError, match="already exists"):
            build(mox)
        with tf.variable_scope(tf.get_variable_scope(), reuse=True):
            build(mox)
            assert len(tf.global_variables()) == count
        with tf.variable_scope("other", reuse=tf.AUTO_REUSE):
            build(mox)
            build(mox)
        assert len(tf.global_variables()) == 2 * count
        with tf.variable_scope("third", reuse=True), pytest.raises(ValueError, match="does not exist"):
            build(mox)
        with tf.variable_scope(tf.get_variable_scope(), reuse=True), pytest.raises(ValueError, match="specified shape"):
            mox.get_model_fn(NETWORK, "TRAIN", 11)(tf.zeros([2, 32, 32, 3]))


def test_who_wants_to_be_asked_is_asked(mox):
    asked = []

    def getter(getter, name, *args, **kwargs):
        asked.append(name)
        return getter(name, *args, **kwargs)

    def creator(next_creator, **kwargs):
        asked.append(kwargs["name"])
        return next_creator(**kwargs)

    with tf.Graph().as_default(), tf.variable_scope("net", custom_getter=getter):
        build(mox)
    names = len(asked)
    with tf.Graph().as_default(), tf.variable_creator_scope(creator):
        build(mox)
    assert names > 90 and len(asked) == 2 * names
    with tf.Graph().as_default(), tf.variable_scope("net", regularizer=tf.nn.l2_loss):
        build(mox)
        plain = len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
    assert plain > names  # each variable's, and the network's own


def test_a_name_that_an_operation_has(mox):
    """The variable gets another operation, as ever, and the checkpoint's name stays."""
    with tf.Graph().as_default():
        tf.constant(1.0, name=f"{NETWORK}/conv1/weights")
        build(mox)
        assert f"{NETWORK}/conv1/weights_1" in {v.op.name for v in tf.global_variables()}


def test_in_a_condition(mox):
    with tf.Graph().as_default(), tf.Session() as session:
        result = tf.cond(tf.constant(True), lambda: tf.identity(tf.ones([1])), lambda: tf.zeros([1]))
        with tf.control_dependencies([result]), tf.device("/cpu:0"):
            logits = build(mox)
        session.run(tf.global_variables_initializer())
        assert session.run(logits).shape == (2, 10)
