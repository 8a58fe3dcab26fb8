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
    ("adam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 0.1}, lambda: train.AdamOptimizer(0.1, 0.8, 0.95, 0.1)),
]


def numbers(array):
    return [float(f"{value:.9g}") for value in np.asarray(array, np.float64).ravel()]


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


def main():
    random = np.random.RandomState(7)
    initial = {name: random.randn(*shape).astype(np.float32) for name, shape in SHAPES.items()}
    gradients = {name: random.randn(STEPS, *shape).astype(np.float32) for name, shape in SHAPES.items()}
    cases = []
    for name, options, make in CASES:
        steps, slots = run(make, initial, gradients)
        cases.append({"optimizer": name, "learning_rate": 0.1, "options": options, "steps": steps, "slots": slots})
    problem = {
        "initial": {name: numbers(value) for name, value in initial.items()},
        "gradients": {name: [numbers(g) for g in value] for name, value in gradients.items()},
        "shapes": {name: list(shape) for name, shape in SHAPES.items()},
    }
    text = '{"problem": %s,\n"cases": [\n%s\n]}\n' % (json.dumps(problem), ",\n".join(map(json.dumps, cases)))
    pathlib.Path(__file__).with_name("expected.json").write_text(text)


main()
