"""What public functions take.

`@checked` looks at the arguments of a function before anything else happens, by the function's annotations: each is a Kind,
which says what the argument must be and gives the value as the function gets it. An argument whose default is None may be
None. What has no such annotation is not looked at. Errors name the function, the argument, what it got and what is expected.
"""
import functools
import inspect
import math
import operator
import os

from moxing.errors import ArgumentTypeError, InvalidArgumentError

_SHOWN = 200  # characters of a value in an error


def shown(value):
    """A value as an error shows it."""
    try:
        text = repr(value)
    except Exception:  # a __repr__ of the user's
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


@functools.singledispatch
def plain(value):
    """numpy's scalars as Python's; moxing.tensorflow adds constant tensors, which the manual lets some arguments be."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value


class Kind:
    """What an argument must be: `expected` says it, `take` raises TypeError or ValueError for what is something else."""

    none = False   # None is taken, too
    hint = "Any"   # the type as type checkers know it, for the stubs (scripts/stubs.py)
    show = staticmethod(shown)

    def __init__(self, expected):
        self.expected = expected

    def take(self, value):
        raise NotImplementedError

    def or_none(self):
        self.none = True
        return self

    def __repr__(self):  # in help()
        return self.expected


class Text(Kind):
    hint = "str"

    def __init__(self, expected="a text"):
        super().__init__(expected)

    def take(self, value):
        if not isinstance(value, str):
            raise TypeError
        return str(value)


class Secret(Text):
    """A text that no error shows."""

    @staticmethod
    def show(value):
        return f"of type {type(value).__name__}"


class Path(Kind):
    """Given on as it is, so that bytes stay bytes."""

    hint = "str | bytes | os.PathLike[Any]"

    def __init__(self, expected="a path: str, bytes or os.PathLike"):
        super().__init__(expected)

    def take(self, value):
        path = os.fspath(value)
        if b"\0" in os.fsencode(path):
            raise ValueError
        return value


class PathText(Path):
    """As str, with what is no UTF-8 as os.fsdecode gives it."""

    def take(self, value):
        return os.fsdecode(super().take(value))


class Switch(Kind):
    hint = "bool"

    def __init__(self):
        super().__init__("True or False")

    def take(self, value):
        value = plain(value)
        if not isinstance(value, int) or value not in (0, 1):
            raise TypeError
        return bool(value)


class Integer(Kind):
    hint = "int"

    def __init__(self, low=-2**63, high=2**63 - 1):
        super().__init__(f"an integer from {low} to {high}")
        self.low, self.high = low, high

    def take(self, value):
        value = plain(value)
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
        if not self.low <= number <= self.high:
            raise ValueError
        return number


class Number(Kind):
    hint = "float"

    def __init__(self, low=-math.inf, high=math.inf):
        bounds = "a finite number" if math.isinf(high) else f"a number from {low:g} to {high:g}"
        super().__init__(bounds)
        self.low, self.high = low, high

    def take(self, value):
        value = plain(value)
        if isinstance(value, (bool, str, bytes)):
            raise TypeError
        number = float(value)
        if not math.isfinite(number) or not self.low <= number <= self.high:
            raise ValueError
        return number


class ListOf(Kind):
    """A list, or a tuple, of a kind; with `or_one`, one alone is a list of one."""

    def __init__(self, kind, or_one=False):
        super().__init__(f"{kind.expected}, or a list of such" if or_one else f"a list, each {kind.expected}")
        self._kind, self._or_one = kind, or_one
        self.hint = f"{kind.hint} | Sequence[{kind.hint}]" if or_one else f"Sequence[{kind.hint}]"

    def take(self, value):
        if isinstance(value, (str, bytes, os.PathLike)):
            if not self._or_one:
                raise TypeError
            return [self._kind.take(value)]
        return [self._kind.take(entry) for entry in iter(value)]


class Function(Kind):
    hint = "Callable[..., Any]"

    def __init__(self, expected="a function"):
        super().__init__(expected)

    def take(self, value):
        if not callable(value):
            raise TypeError
        return value


class Bytes(Kind):
    """What has a buffer, or a text."""

    hint = "str | bytes | bytearray | memoryview"

    def __init__(self):
        super().__init__("bytes or a text")

    def take(self, value):
        if not isinstance(value, str):
            memoryview(value).release()
        return value


class Told(Kind):
    """What is looked at where it is used: tells alone what it is."""

    def __init__(self, expected, hint="Any"):
        super().__init__(expected)
        self.hint = hint

    def take(self, value):
        return value


def refuse(who, name, value, kind, error):
    """Raises the error for an argument that is not of its kind, which raised `error`."""
    cls = ArgumentTypeError if isinstance(error, TypeError) else InvalidArgumentError
    where = f"{who}: {name}" if who else name
    raise cls(f"{where} is {kind.show(value)}, expected {kind.expected}") from None


def take(who, name, value, kind):
    """The value as its kind gives it, or an error."""
    try:
        return kind.take(value)
    except (TypeError, ValueError, OverflowError, BufferError) as e:
        refuse(who, name, value, kind, e)


class _Parameters:
    """The kinds of a function's parameters, by place and by name."""

    def __init__(self, function):
        self.by_name = {}
        self.by_place = []
        for name, p in inspect.signature(function).parameters.items():
            kind = (name, p.annotation, p.annotation.none or p.default is None) if isinstance(p.annotation, Kind) else None
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                self.by_place.append(kind)
            if kind:
                self.by_name[name] = kind


def _taken(who, parameter, value):
    name, kind, none = parameter
    return None if value is None and none else take(who, name, value, kind)


def _is_bindings(error):
    """Whether the extension made it, of a value that it does not take; not a function of the user's."""
    if "incompatible function arguments" not in str(error) and str(error) != "std::bad_cast":
        return False
    frame = error.__traceback__
    while frame.tb_next:
        frame = frame.tb_next
    return frame.tb_frame.f_code.co_filename.startswith(os.path.dirname(__file__) + os.sep)


def checked(function=None, *, who=None):
    if function is None:
        return functools.partial(checked, who=who)
    who = who or function.__qualname__.removesuffix(".__init__")
    parameters = _Parameters(function)
    own = 1 if function.__name__ == "__init__" else 0

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        taken = [value if kind is None else _taken(who, kind, value) for value, kind in zip(args, parameters.by_place)]
        taken += args[len(taken):]
        for name, value in kwargs.items():
            if name in parameters.by_name:
                kwargs[name] = _taken(who, parameters.by_name[name], value)
        try:
            return function(*taken, **kwargs)
        except (TypeError, RuntimeError) as e:
            if not _is_bindings(e):
                raise
            given = [shown(value) for value in args[own:]] + [f"{name}={shown(value)}" for name, value in kwargs.items()]
            raise ArgumentTypeError(f"{who}({', '.join(given)}): an argument has a type or a size that the engine does not take; "
                                    f"expected {who}{inspect.signature(function)}") from None

    return wrapper


def also_called(**names):
    """Decorates a function whose arguments have older names, too: also_called(recurisive="recursive")."""
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            for old, name in names.items():
                if old in kwargs and name not in kwargs:
                    kwargs[name] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper

    return decorate


# What a field of the engine's options takes, by the type that its getter tells.
_FIELDS = {
    "bool": Switch(),
    "int": Integer(),
    "float": Number(),
    "str": Text(),
    "list[str]": ListOf(Text()),
    "list[float]": ListOf(Number()),
}


def _field_kind(options, name):
    getter = getattr(getattr(type(options), name, None), "fget", None)
    signatures = getattr(getter, "__nb_signature__", None)
    told = signatures[0][0].rpartition("-> ")[2].removesuffix(" | None") if signatures else ""
    return _FIELDS.get(told) or Kind(told or "another type")


def set_field(options, name, value, who="", kind=None):
    """Sets a field of an options object of the engine; the error for a value that it does not take names the field."""
    kind = kind or _field_kind(options, name)
    if type(kind) is not Kind and value is not None:
        value = take(who, name, value, kind)
    try:
        setattr(options, name, value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        refuse(who, name, value, kind, TypeError())
