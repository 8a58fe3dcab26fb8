"""Devices from Python: graphs for GPUs that are pretended, and a flag."""
import pytest
import tensorflow.compat.v1 as tf

import toy


class Enough(Exception):
    pass


def normalized(x):
    """Batch norm with a moving average, of TensorFlow 1's own operations."""
    gamma = tf.get_variable("bn/gamma", [4], initializer=tf.ones_initializer())
    beta = tf.get_variable("bn/beta", [4], initializer=tf.zeros_initializer())
    moving = tf.get_variable("bn/moving_mean", [4], initializer=tf.zeros_initializer(), trainable=False)
    y, mean, _ = tf.nn.fused_batch_norm(x, gamma, beta)
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_sub(moving, (moving - mean) * 0.1))
    return y


def model_of(mox, data_format="NHWC"):
    def model_fn(inputs, mode):
        x = tf.reshape(inputs[0], [-1, 2, 2, 1])
        x = normalized(tf.nn.conv2d(x, tf.get_variable("conv/kernel", [2, 2, 1, 4]), 1, "SAME"))
        images = tf.image.resize(x[:, :, :, :1], [28, 28])
        logits, _ = mox.get_model_fn("lenet", mode, 3, weight_decay=1e-4, data_format=data_format)(images)
        label = tf.cast(tf.abs(inputs[1]), tf.int64) % 3
        loss = tf.losses.softmax_cross_entropy(tf.one_hot(label, 3), logits)
        loss += tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
        tf.summary.scalar("loss", loss)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, output_info={"loss": loss})
    return model_fn


@pytest.fixture
def pretend(mox, monkeypatch):
    """pretend(towers): runs from now on are planned for so many of two GPUs; the list of graphs, after the passes."""
    from moxing import _engine

    def planned(towers, gpus=2, run=True, copies=False):
        check, run_built_graph, graphs = _engine.RunConfig.check, _engine.run_built_graph, []

        def checked(config, *rest):
            folders = check(config, *rest)
            plan = _engine.DevicePlan(towers, gpus)
            config.devices = plan.with_copies() if copies else plan
            return folders

        def seen(built, export, config, *rest):
            graphs.append(tf.GraphDef.FromString(built.graph_on(config.devices)))
            if not run:
                raise Enough
            return run_built_graph(built, export, config, *rest)

        monkeypatch.setattr(_engine.RunConfig, "check", checked)
        monkeypatch.setattr(_engine, "run_built_graph", seen)
        return graphs
    return planned


def optimizer_of(mox, kind):
    if kind == "momentum":
        return mox.get_optimizer_fn("momentum", learning_rate=0.01, momentum=0.9)
    return lambda: tf.train.MomentumOptimizer(tf.train.exponential_decay(0.01, tf.train.get_global_step(), 2, 0.9), 0.9)


def check_placement(graph, on_gpu):
    nodes = {node.name: node for node in graph.node}
    assert not [name for name, node in nodes.items() if not node.device]
    host, variables = "/device:CPU:0", "/device:GPU:0" if on_gpu else "/device:CPU:0"
    handles = {name: node for name, node in nodes.items() if node.op == "VarHandleOp"}
    assert len(handles) > 10
    for name, handle in handles.items():
        assert handle.device == (variables if tf.as_dtype(handle.attr["dtype"].type).is_floating else host), name
    for node in nodes.values():
        for used in [handles[i] for i in node.input if i in handles]:
            assert node.device == used.device, (node.name, used.name)
        if node.op.startswith("Conv2D"):
            assert node.device == f"/device:GPU:{1 if 'tower_1/' in node.name else 0}", node.name
        if "Iterator" in node.op or "Dataset" in node.op or "Summary" in node.op or node.op == "MoxCheckClasses":
            assert node.device == host, node.name
        if "ExponentialDecay" in node.name:
            assert node.device == host, node.name


@pytest.mark.parametrize("towers, copies", [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("kind", ["momentum", "tf.train"])
def test_a_graph_for_gpus(mox, tmp_path, pretend, towers, copies, kind):
    losses = {"cpu": [], "gpu": []}
    tf.set_random_seed(5)
    mox.set_flag("num_gpus", towers)
    for where, kept in losses.items():
        graphs = pretend(towers, copies=copies) if where == "gpu" else []
        mox.run(**toy.options(tmp_path / where, 3, model_fn=model_of(mox), optimizer_fn=optimizer_of(mox, kind),
                              output_every_n_steps=1, output_fn=lambda outputs: kept.extend(o["loss"] for o in outputs)))
    check_placement(graphs[0], towers == 1 or copies)
    assert len(losses["gpu"]) == 3 * towers and losses["gpu"] == pytest.approx(losses["cpu"], abs=1e-5)


@pytest.mark.parametrize("gpus", [True, False])
def test_nchw_is_computed_on_gpus_alone(mox, tmp_path, pretend, gpus):
    graphs = pretend(1, gpus=2 if gpus else 0, run=False)
    with pytest.raises(Enough):
        mox.run(**toy.options(tmp_path, 3, model_fn=model_of(mox, "NCHW")))
    convolutions = [n for n in graphs[0].node if n.op in ("Conv2D", "MoxConvolution") and "LeNet" in n.name]
    formats = {n.attr["data_format"].s if n.op == "Conv2D" else b"NHWC" for n in convolutions}  # ours are of NHWC alone
    assert formats == {b"NCHW" if gpus else b"NHWC"}


def test_clone_on_cpu(mox, tmp_path):
    mox.set_flag("clone_on_cpu", True)
    mox.set_flag("num_gpus", 2)
    mox.run(**toy.options(tmp_path, 2))
