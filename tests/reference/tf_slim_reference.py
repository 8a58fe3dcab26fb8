"""Runs TF-slim's own networks under TensorFlow 1.15 and writes what ours must give: results.json.

Needs Python 3.7 with tensorflow==1.15.5, protobuf==3.20.3, tf-slim==1.1.0 and
tf1-tensorflow-object-detection-api==1.15.0 (the last two with --no-deps; it carries TF-slim's networks as `nets`).
Weights and images come from a generator that reference_test.cc has too (`values` below), so that no checkpoint needs to
be stored; --checkpoints DIR writes them as TensorFlow 1 checkpoints as well, which the test then restores.
"""

import argparse
import json
import os
import pathlib
import warnings

warnings.filterwarnings("ignore")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402
from nets import nets_factory  # noqa: E402

tf.logging.set_verbosity(tf.logging.ERROR)

NETWORKS = """alexnet_v2 cifarnet overfeat vgg_a vgg_16 vgg_19 inception_v1 inception_v2 inception_v3 inception_v4
inception_resnet_v2 lenet resnet_v1_50 resnet_v1_101 resnet_v1_152 resnet_v1_200 resnet_v2_50 resnet_v2_101
resnet_v2_152 resnet_v2_200 mobilenet_v1 mobilenet_v1_075 mobilenet_v1_050 mobilenet_v1_025 mobilenet_v2 mobilenet_v2_140
mobilenet_v2_035 nasnet_cifar nasnet_mobile nasnet_large pnasnet_large pnasnet_mobile""".split()
TRAINED = ["resnet_v1_50", "resnet_v2_50", "inception_v3", "mobilenet_v1", "nasnet_mobile"]
TRAIN_BATCH = 4
WEIGHT_DECAY = 4e-5
AUX_WEIGHT = 0.4


def uniform(name, count):
    """`count` numbers in [0, 1) that depend on the name only: splitmix64 of FNV-1a(name) and a counter."""
    state = 14695981039346656037
    for byte in name.encode():
        state = ((state ^ byte) * 1099511628211) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def value_range(name, shape):
    kind = name.split("/")[-1]
    if kind == "gamma":
        return 0.5, 1.0
    if kind == "moving_variance":
        return 0.5, 1.5
    if kind in ("biases", "beta", "moving_mean"):
        return -0.1, 0.1
    fan_in = np.prod(shape[:-2] if kind == "depthwise_weights" else shape[:-1])
    limit = np.sqrt(6.0 / fan_in)
    return -limit, limit


def values(name, shape):
    low, high = value_range(name, shape)
    return (low + (high - low) * uniform(name, int(np.prod(shape)))).astype(np.float32).reshape(shape)


def images(batch, size, channels):
    count = batch * size * size * channels
    return (-1 + 2 * uniform("images", count)).astype(np.float32).reshape([batch, size, size, channels])


def build(name, batch, is_training, shared, dtype=np.float32):
    facts = json.loads((shared / (name + ".json")).read_text())
    size, channels, classes = facts["image_size"], facts["channels"], facts["num_classes"]
    network = nets_factory.get_network_fn(name, classes, weight_decay=WEIGHT_DECAY, is_training=is_training)
    x = tf.constant(images(batch, size, channels).astype(dtype))
    kwargs = {}
    if is_training and name != "nasnet_mobile" and not name.startswith("resnet"):
        kwargs["dropout_keep_prob"] = 1.0
    if name == "nasnet_mobile" and is_training:
        from nets.nasnet import nasnet
        config = nasnet.mobile_imagenet_config()
        config.set_hparam("dense_dropout_keep_prob", 1.0)
        kwargs["config"] = config
    logits, end_points = network(x, **kwargs)
    return logits, end_points, classes


def without_fused_batch_norm():
    """The fused kernel knows no double precision; the layer has both, and the same variables."""
    from tf_slim.layers import layers
    layer = layers.normalization_layers.BatchNormalization
    if getattr(layer, "patched", False):
        return
    original = layer.__init__

    def init(self, *args, **kwargs):
        kwargs["fused"] = False
        original(self, *args, **kwargs)

    layer.__init__ = init
    layer.patched = True


def load_values(session):
    # All at once: a run a variable would prune the whole graph each time.
    variables = [v for v in tf.global_variables() if v.op.name != "global_step"]
    session.run([v.initializer for v in variables], {
        v.initializer.inputs[1]: values(v.op.name, v.shape.as_list()).astype(v.dtype.base_dtype.as_numpy_dtype)
        for v in variables})


def evaluate(name, shared, checkpoints):
    tf.reset_default_graph()
    logits, _, _ = build(name, 2, False, shared)
    with tf.Session() as session:
        load_values(session)
        result = session.run(logits)
        if checkpoints:
            tf.train.Saver().save(session, str(checkpoints / name / "model.ckpt"), write_meta_graph=False)
    step = max(1, result.shape[1] // 64)
    return {
        "norm": float(np.linalg.norm(result.astype(np.float64))),
        "class_step": step,
        "logits": [[float("%.7g" % v) for v in row] for row in result[:, ::step]],
    }


def train(name, shared):
    """Loss and norms of the gradients, in double precision: in single precision the rounding of the forward pass
    flips ReLUs that are close to 0, which alone moves some norms by a percent."""
    tf.reset_default_graph()
    without_fused_batch_norm()
    logits, end_points, classes = build(name, TRAIN_BATCH, True, shared, np.float64)
    labels = tf.constant([(7 * i + 3) % classes for i in range(TRAIN_BATCH)])
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    if "AuxLogits" in end_points:
        loss += tf.losses.sparse_softmax_cross_entropy(labels, end_points["AuxLogits"], weights=AUX_WEIGHT)
    loss += tf.add_n([tf.cast(r, loss.dtype) for r in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)])
    variables = tf.trainable_variables()
    norms = [tf.norm(tf.cast(g, tf.float64)) for g in tf.gradients(loss, variables)]
    with tf.Session() as session:
        load_values(session)
        loss_value, norm_values = session.run([loss, norms])
    return {
        "loss": float(loss_value),
        "gradient_norms": {v.op.name: float("%.7g" % n) for v, n in zip(variables, norm_values)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=pathlib.Path, required=True, help="folder of TF-slim's JSON files")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results.json")
    parser.add_argument("--checkpoints", type=pathlib.Path, help="also write checkpoints to this folder")
    parser.add_argument("--names", nargs="*", default=NETWORKS)
    parser.add_argument("--modes", nargs="*", default=["evaluate", "train"])
    args = parser.parse_args()
    results = json.loads(args.out.read_text()) if args.out.exists() else {"evaluate": {}, "train": {}}
    for name in args.names:
        if "evaluate" in args.modes:
            results["evaluate"][name] = evaluate(name, args.facts, args.checkpoints)
            print(name, "norm of the logits", results["evaluate"][name]["norm"], flush=True)
        if "train" in args.modes and name in TRAINED:
            results["train"][name] = train(name, args.facts)
            print(name, "loss", results["train"][name]["loss"], flush=True)
        args.out.write_text(json.dumps(results, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
