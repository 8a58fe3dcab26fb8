"""mox.run for old scripts: what their input_fn does with queues and next_batch becomes a pipeline, Keras knows the mode."""
import contextvars
import functools
import inspect
import sys

from moxing.v1 import keras, mixed_precision

_MOST_STEPS = 2**53  # more of them, as in sys.maxint, means: until the input ends
_in_input_fn = contextvars.ContextVar("in_input_fn", default=False)  # threads of generators do not see it


def in_input_fn():
    """Whether input_fn itself runs, in this thread."""
    return _in_input_fn.get()


def _say(line):
    sys.stderr.write(f"mox script: {line}\n")
    sys.stderr.flush()


def _tensors(dataset):
    import tensorflow.compat.v1 as tf
    return tf.data.make_one_shot_iterator(dataset).get_next()


def pipeline(make, parts):
    """Tensors that are what make() returns, anew for every step. parts: (dtype, shape) of each."""
    import tensorflow.compat.v1 as tf

    def generate():
        while True:
            yield make()

    types = tuple(tf.as_dtype(dtype) for dtype, _ in parts)
    return _tensors(tf.data.Dataset.from_generator(generate, types, tuple(tf.TensorShape(shape) for _, shape in parts)))


def _flat(result):
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _run_queues(graph, outputs, initializer):
    """A generator of what `outputs` are, by a session of its own with the queue runners of `graph`."""
    import tensorflow.compat.v1 as tf
    session = tf.Session(graph=graph)  # no context manager: each element is asked for in another thread
    coordinator = tf.train.Coordinator()
    try:
        session.run(initializer)
        with graph.as_default():
            threads = tf.train.start_queue_runners(session, coordinator)
        while True:
            try:
                values = session.run(outputs)
            except tf.errors.OutOfRangeError:
                coordinator.request_stop()
                coordinator.join(threads)  # raises what a queue runner failed of
                return
            yield tuple(values)
    finally:
        coordinator.request_stop()
        session.close()


def _from_queues(input_fn, args, kwargs):
    """input_fn once more, in a graph that a plain session runs, as the source of a data set."""
    import tensorflow.compat.v1 as tf
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(tf.get_seed(None)[0])
        result = input_fn(*args, **kwargs)
        outputs = [tf.convert_to_tensor(output) for output in tf.nest.flatten(result)]
        initializer = tf.group(tf.global_variables_initializer(), tf.local_variables_initializer(), tf.tables_initializer())
    graph.finalize()
    dataset = tf.data.Dataset.from_generator(lambda: _run_queues(graph, outputs, initializer),
                                             tuple(output.dtype for output in outputs),
                                             tuple(output.shape for output in outputs))
    return tf.nest.pack_sequence_as(result, list(_tensors(dataset)))


def adapted_input_fn(input_fn):
    @functools.wraps(input_fn)
    def wrapped(*args, **kwargs):
        import tensorflow.compat.v1 as tf
        token = _in_input_fn.set(True)
        try:
            result = input_fn(*args, **kwargs)
            graph = tf.get_default_graph()
            if not graph.get_collection(tf.GraphKeys.QUEUE_RUNNERS):
                return result
            for key in (tf.GraphKeys.QUEUE_RUNNERS, tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.LOCAL_VARIABLES,
                        tf.GraphKeys.TRAINABLE_VARIABLES, tf.GraphKeys.TABLE_INITIALIZERS):
                graph.clear_collection(key)
            _say("input_fn uses queue runners (tf.train.batch and the like): a session of their own fills them and feeds the "
                 "pipeline; tf.data reads faster")
            return _from_queues(input_fn, args, kwargs)
        finally:
            _in_input_fn.reset(token)

    return wrapped


def _adapted_model_fn(model_fn, mox):
    """Keras layers that are not told whether they train follow the mode, or what the script told Keras before."""
    told = keras.learning_phase()

    @functools.wraps(model_fn)
    def wrapped(*args, **kwargs):
        mode = kwargs.get("mode", kwargs.get("run_mode", args[1] if len(args) > 1 else None))
        with keras.training(mode == mox.ModeKeys.TRAIN if told is None else told):
            return model_fn(*args, **kwargs)

    return wrapped


def _adapted_optimizer_fn(optimizer_fn, mox):
    """tf.contrib.mixed_precision's optimizer: the engine scales the loss instead, by the flags that say the same."""
    import tensorflow.compat.v1 as tf
    with tf.Graph().as_default():
        optimizers = optimizer_fn()
        flags = [mixed_precision.unwrapped(optimizer)[1] for optimizer in _flat(optimizers)]
    flags = next((flag for flag in flags if flag), None)
    if flags is None:
        return optimizer_fn
    for name, value in flags.items():
        mox.set_flag(name, value)
    words = " ".join(f"--{name}={value}" for name, value in flags.items())
    _say(f"LossScaleOptimizer: mox.run scales the loss itself, with {words}")

    @functools.wraps(optimizer_fn)
    def wrapped():
        made = optimizer_fn()
        if isinstance(made, (list, tuple)):
            return [mixed_precision.unwrapped(optimizer)[0] for optimizer in made]
        return mixed_precision.unwrapped(made)[0]

    return wrapped


def adapted_run(run, mox):
    names = list(inspect.signature(run).parameters)

    @functools.wraps(run)
    def run_script(*args, **kwargs):
        kwargs.update(zip(names, args))
        steps = kwargs.get("max_number_of_steps")
        if isinstance(steps, int) and steps > _MOST_STEPS:
            kwargs["max_number_of_steps"] = 0
        if callable(kwargs.get("input_fn")):
            kwargs["input_fn"] = adapted_input_fn(kwargs["input_fn"])
        if callable(kwargs.get("model_fn")):
            kwargs["model_fn"] = _adapted_model_fn(kwargs["model_fn"], mox)
        if mixed_precision.may_be_used() and callable(kwargs.get("optimizer_fn")):
            kwargs["optimizer_fn"] = _adapted_optimizer_fn(kwargs["optimizer_fn"], mox)
        return run(**kwargs)

    return run_script
