"""Calls what the user wrote, and finds what it raised when TensorFlow called it."""
import contextlib
import inspect

from tensorflow.python.ops import script_ops

from moxing.errors import InvalidArgumentError
from moxing.tensorflow._runtime import engine

_MODE_NAMES = ("mode", "run_mode")


def what_is(function):
    """As engine.check_functions takes it."""
    return None if function is None else "" if callable(function) else f"{type(function).__name__} {function!r}"


def call(name, function, *args):
    """function(*args) by position; a function that takes its last argument, the mode, by keyword only gets it so."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin
        return function(*args)
    try:
        signature.bind(*args)
    except TypeError:
        for keyword in _MODE_NAMES:
            parameter = signature.parameters.get(keyword)
            if parameter is not None and parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                return function(*args[:-1], **{keyword: args[-1]})
        raise InvalidArgumentError(f"{name} is called as {name}{engine.arguments_of(name)}, but takes {signature}") from None
    return function(*args)


def call_preprocess_fn(function, images, run_mode):
    """function(images), or function(images, run_mode) where it takes a second argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin
        return function(images)
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_mode = len([p for p in by_place if p.default is p.empty]) > 1 or any(p.name in _MODE_NAMES for p in by_place)
    return function(images, run_mode) if takes_mode else function(images)


def _is_generators(function):
    """Whether TensorFlow's own Dataset.from_generator calls it: its StopIteration is the end of the data."""
    return getattr(function, "__module__", None) == "tensorflow.python.data.ops.from_generator_op"


class PythonErrors:
    """Notes what Python functions raise inside the graph (generators of data sets, py_func).

    TensorFlow passes on no more than a text of such an exception. While `recording`, functions that are registered
    with TensorFlow are wrapped; `raise_original` raises the exception that an engine's error tells of.
    """

    def __init__(self):
        self._raised = []
        self._kept = []  # TensorFlow refers to the functions weakly

    @contextlib.contextmanager
    def recording(self):
        registry = script_ops._py_funcs
        insert = registry.insert

        def insert_wrapped(function):
            if isinstance(function, script_ops.EagerFunc):
                function._func = self._wrapped(function._func)
                return insert(function)
            wrapped = self._wrapped(function)
            self._kept.append(wrapped)
            return insert(wrapped)

        registry.insert = insert_wrapped
        try:
            yield
        finally:
            del registry.insert

    def _wrapped(self, function):
        def wrapper(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except StopIteration as e:
                if _is_generators(function):
                    raise
                # TensorFlow would take it for the end of the data; as Python does in a generator (PEP 479).
                error = RuntimeError(f"a function that the graph calls raised StopIteration: {function}")
                self._raised.append(error)
                raise error from e
            except BaseException as e:
                self._raised.append(e)
                raise

        return wrapper

    def raise_original(self, error):
        text = str(error)
        for original in self._raised:
            if type(original).__name__ in text and str(original) in text:
                raise original from None
