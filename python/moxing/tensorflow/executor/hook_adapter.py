"""Between hooks as TensorFlow knows them and the engine, which speaks in names of tensors."""
from tensorflow.python.client import session as session_lib

from moxing import errors
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.executor.hooks import NativeHook, fed_values


class InputEnded(tf.errors.OutOfRangeError):
    """The run's own input ended. Uncaught it ends the run; any other OutOfRangeError is an error."""


class Session(session_lib.SessionInterface):
    """What hooks get as the session: `graph` and `run`, on the engine's session. Closed when the run ends."""

    def __init__(self, graph):
        self._graph = graph
        self._session = None
        self._closed = False

    @property
    def graph(self):
        return self._graph

    @property
    def sess_str(self):
        return ""  # the target of a session in this process

    def use(self, session):
        self._session = session
        return self

    def close(self):
        self._session = None
        self._closed = True

    def run(self, fetches, feed_dict=None, options=None, run_metadata=None):
        """As tf.Session.run. `options` are not heeded."""
        if self._session is None:
            raise RuntimeError("the session of this run is closed" if self._closed else "the session does not exist yet")
        handler = session_lib._FetchHandler(self.graph, fetches, {})
        try:
            values = self._session.run(_names(handler), fed_values(self.graph, feed_dict))
        except errors.PastEndError as e:
            raise tf.errors.OutOfRangeError(None, None, str(e)) from None
        except errors.OutOfRangeError as e:
            raise InputEnded(None, None, str(e)) from None
        return handler.build_results(None, values)

    def restart_input(self):
        """Lets the input of inter_mode begin again."""
        self._session.restart_input()


def _names(handler):
    return [tensor.name for tensor in handler.fetches()] + [op.name for op in handler.targets()]


class Adapter:
    """One hook of Python, as the engine calls it: always with the run's graph as the default, as tf.train's sessions do."""

    def __init__(self, hook, session, losses):
        self._hook = hook
        self._session = session
        self._losses = losses
        self._context = None
        self._handler = None

    def after_create_session(self, session):
        with self._session.graph.as_default():
            self._hook.after_create_session(self._session.use(session), tf.train.Coordinator())

    def before_run(self, session):
        self._context = tf.train.SessionRunContext(tf.train.SessionRunArgs(self._losses), self._session.use(session))
        with self._session.graph.as_default():
            args = self._hook.before_run(self._context)
        self._handler = None
        if args is None:
            return [], []
        if not isinstance(args, tf.train.SessionRunArgs):
            raise errors.InvalidArgumentError(f"before_run of {type(self._hook).__name__} returned {type(args).__name__}; "
                                              "return tf.train.SessionRunArgs, or None")
        if args.options is not None:
            raise errors.UnsupportedError(f"{type(self._hook).__name__} asks for a traced step (SessionRunArgs.options), which "
                                          "is not offered by this version; leave the hook out")
        fetches = []
        if args.fetches is not None:
            self._handler = session_lib._FetchHandler(self._session.graph, args.fetches, {})
            fetches = _names(self._handler)
        return fetches, fed_values(self._session.graph, args.feed_dict)

    def after_run(self, values):
        """True: the hook asks to stop."""
        results = None if self._handler is None else self._handler.build_results(None, values)
        with self._session.graph.as_default():
            self._hook.after_run(self._context, tf.train.SessionRunValues(results, None, tf.RunMetadata()))
        return self._context.stop_requested

    def end(self, session):
        with self._session.graph.as_default():
            self._hook.end(self._session.use(session))


def _looks_for_saver(hook):
    """A CheckpointSaverHook that was given none takes the collection's, which tf.train's sessions would put there."""
    return isinstance(hook, tf.train.CheckpointSaverHook) and hook._saver is None and hook._scaffold is None


class Hooks:
    """All hooks of a run."""

    def __init__(self):
        self.session = None
        self._waiting = []  # (hook, engine hook, inter): begin comes when the graph is built

    def of_spec(self, spec, inter=False):
        """The engine's hooks for those of a ModelSpec of the current graph."""
        if self.session is None:
            self.session = Session(tf.get_default_graph())
        hooks = spec.hooks or []
        if not isinstance(hooks, (list, tuple)):
            raise errors.InvalidArgumentError(f"ModelSpec.hooks is {type(hooks).__name__}, expected a list of hooks")
        return [self._wrapped(hook, spec, inter) for hook in hooks]

    def _wrapped(self, hook, spec, inter):
        if not isinstance(hook, tf.train.SessionRunHook):
            engine.reject_hook(f"a {type(hook).__name__}")
        if isinstance(hook, NativeHook):
            return hook.native

        def says(method):
            return bool(getattr(hook, method, lambda: False)())

        wrapped = engine.PythonHook(Adapter(hook, self.session, spec.losses()), says("support_aggregation"),
                                    says("support_sync_workers"), says("run_inter_mode"))
        if engine.hook_runs(wrapped, inter):
            self._waiting.append(hook)
        return wrapped

    def begin(self):
        """In the graph, which may still be added to."""
        if any(_looks_for_saver(hook) for hook in self._waiting) and not tf.get_collection(tf.GraphKeys.SAVERS):
            tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver())
        for hook in self._waiting:
            hook.begin()

    def close(self):
        if self.session is not None:
            self.session.close()
