"""Python functions of an input pipeline as graphs that C++ puts into its own."""
from tensorflow.python.framework import func_graph

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._fragments import shape_list
from moxing.tensorflow._runtime import engine, tf


def _check_outside(tensor, who):
    """What a function uses from around it is copied, so it must be computed from constants alone."""
    stack, seen = [tensor.op], set()
    while stack:
        op = stack.pop()
        if op in seen:
            continue
        seen.add(op)
        if op.type.startswith("Placeholder") or op.op_def.is_stateful:
            raise InvalidArgumentError(f"{who} uses {tensor.name}, which was made outside of it and depends on {op.name} "
                                       f"({op.type}); make it inside the function, or pass it through tf.data")
        stack += [t.op for t in op.inputs] + list(op.control_inputs)


def _graph_def(graph, results, who):
    """What computes the results, with copies of what they need from outside."""
    text = graph.as_graph_def(add_shapes=True)
    captures = list(graph.captures)
    if captures:
        outside = [tensor for tensor, _ in captures]
        for tensor in outside:
            _check_outside(tensor, who)
        around = tf.graph_util.extract_sub_graph(outside[0].graph.as_graph_def(), [t.op.name for t in outside])
        with tf.Graph().as_default() as joined:
            copies = tf.import_graph_def(around, name="moxing_outside", return_elements=[t.name for t in outside])
            tf.import_graph_def(text, name="", input_map={inside.name: copy for (_, inside), copy in zip(captures, copies)})
        text = joined.as_graph_def(add_shapes=True)
    return tf.graph_util.extract_sub_graph(text, [t.op.name for t in results])


def graph_function(who, call, num_results):
    """call({name: tensor}) -> num_results tensors, as C++ takes functions: GraphFunction in src/engine/datasets.cc."""

    def build(arguments):
        graph = func_graph.FuncGraph(who)
        with graph.as_default():
            given = {}
            for name, dtype, shape in arguments:
                sizes = None if shape is None else [None if size < 0 else size for size in shape]
                given[name] = tf.placeholder(tf.as_dtype(dtype), sizes, name=f"argument_{len(given)}")
            results = call(given)
            if len(results) != num_results:
                raise InvalidArgumentError(f"{who} returned {len(results)} tensors, expected {num_results}")
            # An operation of its own for each: a result may be an argument, or a tensor from outside.
            results = [tf.identity(t, name="result") for t in results]
        return (_graph_def(graph, results, who).SerializeToString(),
                [engine.InputTensor(t.name, t.dtype.as_datatype_enum, shape_list(t.shape)) for t in results])

    return build
