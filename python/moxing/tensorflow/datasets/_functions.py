"""Python functions of an input pipeline as graphs that C++ puts into its own."""
from tensorflow.python.framework import func_graph

from moxing._arguments import shown
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


def _part_for(graph_def, tensors):
    """The nodes that the tensors are computed from; TensorFlow's own extract_sub_graph warns that it is old."""
    nodes = {node.name: node for node in graph_def.node}
    wanted, stack = set(), [tensor.op.name for tensor in tensors]
    while stack:
        name = stack.pop()
        if name not in wanted:
            wanted.add(name)
            stack += [source.lstrip("^").split(":")[0] for source in nodes[name].input]
    part = tf.GraphDef(versions=graph_def.versions, library=graph_def.library)
    part.node.extend(node for node in graph_def.node if node.name in wanted)
    return part


def _graph_def(graph, results, who):
    """What computes the results, with copies of what they need from outside."""
    text = graph.as_graph_def(add_shapes=True)
    captures = list(graph.captures)
    if captures:
        outside = [tensor for tensor, _ in captures]
        for tensor in outside:
            _check_outside(tensor, who)
        around = _part_for(outside[0].graph.as_graph_def(), outside)
        with tf.Graph().as_default() as joined:
            copies = tf.import_graph_def(around, name="moxing_outside", return_elements=[t.name for t in outside])
            tf.import_graph_def(text, name="", input_map={inside.name: copy for (_, inside), copy in zip(captures, copies)})
        text = joined.as_graph_def(add_shapes=True)
    return _part_for(text, results)


def _result(value, who):
    """An operation of its own: a result may be an argument, or a tensor from outside."""
    try:
        result = tf.identity(value, name="result")
    except (TypeError, ValueError):
        result = None
    if not isinstance(result, tf.Tensor):
        raise InvalidArgumentError(f"{who} returned {shown(value)}, expected a tensor")
    return result


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
            results = [_result(value, who) for value in results]
        return (_graph_def(graph, results, who).SerializeToString(),
                [engine.InputTensor(t.name, t.dtype.as_datatype_enum, shape_list(t.shape)) for t in results])

    return build
