"""Writes expected.json: 20 steps of TensorFlow's own Python optimizers, for optimizer_test.cc.

    .venv/bin/python tests/optim/make_expected.py
"""
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
train = tf1.train

STEPS = 20
SHAPES = {"layer/weights": (3, 4), "layer/biases": (4,)}

# (optimizer of ours, options of ours, what makes TensorFlow's)
CASES = [
    ("sgd", {}, lambda: train.GradientDescentOptimizer(0.1)),
    ("momentum", {}, lambda: train.MomentumOptimizer(0.1, 0.9)),
    ("momentum", {"momentum": 0.8, "use_nesterov": True}, lambda: train.MomentumOptimizer(0.1, 0.8, use_nesterov=True)),
    ("adam", {}, lambda: train.AdamOptimizer(0.1)),
    ("adadelta", {}, lambda: train.AdadeltaOptimizer(0.1)),
    ("adadelta", {"rho": 0.9, "epsilon": 1e-3}, lambda: train.AdadeltaOptimizer(0.1, 0.9, 1e-3)),
    ("adagrad", {}, lambda: train.AdagradOptimizer(0.1)),
    ("adagrad", {"initial_accumulator_value": 1.0}, lambda: train.AdagradOptimizer(0.1, 1.0)),
    ("ftrl", {}, lambda: train.FtrlOptimizer(0.1)),
    (
        "ftrl",
        {
            "learning_rate_power": -0.7,
            "initial_accumulator_value": 0.3,
            "l1_regularization_strength": 0.05,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03,
        },
        lambda: train.FtrlOptimizer(0.1, -0.7, 0.3, 0.05, 0.02, l2_shrinkage_regularization_strength=0.03),
    ),
    ("rmsprop", {}, lambda: train.RMSPropOptimizer(0.1)),
    (
        "rmsprop",
        {"decay": 0.8, "momentum": 0.5, "epsilon": 1e-3},
        lambda: train.RMSPropOptimizer(0.1, 0.8, 0.5, 1e-3),
    ),
    (
        "rmsprop",
        {"momentum": 0.5, "epsilon": 1e-3, "centered": True},
        lambda: train.RMSPropOptimizer(0.1, 0.9, 0.5, 1e-3, centered=True),
    ),
    ("adamw", {}, lambda: tf.keras.optimizers.AdamW(0.01)),
    (
        "adamw",
        {"weight_decay": 2.0, "exclude_from_weight_decay": ["biases$"]},
        lambda: without_decay(tf.keras.optimizers.AdamW(0.01, weight_decay=2.0), "biases"),
    ),
    ("lamb", {}, lambda: tf.keras.optimizers.Lamb(0.1)),
    ("lamb", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}, lambda: tf.keras.optimizers.Lamb(0.1, 0.8, 0.95, 1e-3)),
    ("adam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 0.1}, lambda: train.AdamOptimizer(0.1, 0.8, 0.95, 0.1)),
]


def numbers(array):
    return [float(f"{value:.9g}") for value in np.asarray(array, np.float64).ravel()]


def without_decay(optimizer, name):
    optimizer.exclude_from_weight_decay(var_names=[name])
    return optimizer


def run_keras(optimizer, initial, gradients):
    variables = [tf.Variable(initial[name], name=name) for name in SHAPES]
    steps = []
    for step in range(STEPS):
        optimizer.apply([tf.constant(gradients[name][step]) for name in SHAPES], variables)
        steps.append({name: numbers(v) for name, v in zip(SHAPES, variables)})
    return steps


def run(make, initial, gradients):
    with tf.Graph().as_default(), tf1.Session() as session:
        variables = [
            tf1.get_variable(name, initializer=initial[name], use_resource=True, dtype=tf.float32) for name in SHAPES
        ]
        feeds = [tf1.placeholder(tf.float32, v.shape) for v in variables]
        update = make().apply_gradients(zip(feeds, variables))
        session.run(tf1.global_variables_initializer())
        steps = []
        for step in range(STEPS):
            session.run(update, {feed: gradients[name][step] for feed, name in zip(feeds, SHAPES)})
            steps.append({v.op.name: numbers(value) for v, value in zip(variables, session.run(variables))})
        slots = [v for v in tf1.global_variables() if v not in variables]
        return steps, {v.op.name: numbers(session.run(v)) for v in slots}


def linear_cosine():
    cases = []
    for options in ({}, {"num_periods": 2.0, "alpha": 0.1, "beta": 0.05}):
        with tf.Graph().as_default(), tf1.Session() as session:
            step = tf1.placeholder(tf.int64, [])
            rate = train.linear_cosine_decay(0.4, step, 20, **options)
            rates = [numbers(session.run(rate, {step: i}))[0] for i in range(24)]
        defaults = {"learning_rate": 0.4, "decay_steps": 20, "num_periods": 0.5, "alpha": 0.0, "beta": 0.001}
        cases.append({**defaults, **options, "rates": rates})
    return cases


def main():
    random = np.random.RandomState(7)
    initial = {name: random.randn(*shape).astype(np.float32) for name, shape in SHAPES.items()}
    gradients = {name: random.randn(STEPS, *shape).astype(np.float32) for name, shape in SHAPES.items()}
    cases = []
    for name, options, make in CASES:
        if name in ("adamw", "lamb"):  # tf.train has none; Keras names slots in its own way
            steps, slots = run_keras(make(), initial, gradients), None
        else:
            steps, slots = run(make, initial, gradients)
        cases.append({"optimizer": name, "learning_rate": 0.01 if name == "adamw" else 0.1, "options": options, "steps": steps, "slots": slots})
    problem = {
        "initial": {name: numbers(value) for name, value in initial.items()},
        "gradients": {name: [numbers(g) for g in value] for name, value in gradients.items()},
        "shapes": {name: list(shape) for name, shape in SHAPES.items()},
    }
    text = '{"problem": %s,\n"linear_cosine_decay": %s,\n"cases": [\n%s\n]}\n' % (
        json.dumps(problem),
        json.dumps(linear_cosine()),
        ",\n".join(map(json.dumps, cases)),
    )
    pathlib.Path(__file__).with_name("expected.json").write_text(text)


main()
