"""Arguments that the engine's tables of options tell (include/moxing/*_options.inc): names, defaults, checks, documentation."""
import functools
import inspect
import textwrap

from moxing._arguments import Integer, Kind, Number, PathText, Switch, Text, Told, checked


class Word(Text):
    """One of a few words."""

    def __init__(self, words, expected):
        super().__init__(expected)
        self._words = words
        self.hint = f"Literal[{', '.join(map(repr, filter(None, words)))}]"

    def take(self, value):
        text = super().take(value)
        if text not in self._words:
            raise ValueError
        return text


# What type checkers know of the options that are no plain values.
_FUNCTIONS = {"optimizer_fn": "Callable[..., Any] | Sequence[Callable[..., Any]]"}
_OBJECTS = {"image_size": "int | tuple[int, int]", "reader_class": "type | str", "reader_kwargs": "dict[str, int]",
            "custom_feature_keys": "Sequence[str]", "custom_feature_values": "Sequence[Any]"}


def _kind(option):
    kind = {
        "switch": Switch,
        "integer": lambda: Integer(option["low"], option["high"]),
        "number": lambda: Number(option["low"], option["high"]),
        "text": lambda: Text(option["expected"]),
        "mode": lambda: Text(option["expected"]),
        "word": lambda: Word(option["words"], option["expected"]),
        "path": PathText,
        "function": lambda: Told(option["expected"], _FUNCTIONS.get(option["name"], "Callable[..., Any]")),
        "object": lambda: Told(option["expected"], _OBJECTS[option["name"]]),
    }[option["kind"]]()
    if isinstance(kind, (Integer, Number)):
        kind.expected = option["expected"]
    if option["kind"] != "mode":
        kind.or_none()  # the default
    return kind


def _parameter(option, kinds, defaults):
    name = option["name"]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=defaults.get(name, option["default"]),
                             annotation=kinds.get(name) or _kind(option))


def _documented(text, options):
    lines = [textwrap.fill(f"{o['name']}: {o['help']}", 118, initial_indent="    ", subsequent_indent="        ") for o in options]
    return f"{text}\n\n" + "\n".join(lines) + "\n"


def takes(options, order=(), kinds=None, defaults=None, who=None, last=()):
    """Decorates a function of keyword arguments, which then takes the options of the engine by name or by position.

    Arguments that the function names itself come first; then those of `order`, which are options by their names, or other
    arguments as inspect.Parameter; then the options that are left, in the table's order; then those of `last`, other
    arguments. The function gets all of them.
    """
    table = {option["name"]: option for option in options}

    def decorate(function):
        own = [p for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        taken = [entry if isinstance(entry, inspect.Parameter) else _parameter(table[entry], kinds or {}, defaults or {})
                 for entry in order]
        known = {p.name for p in own + taken}
        taken += [_parameter(option, kinds or {}, defaults or {}) for option in options if option["name"] not in known]
        signature = inspect.Signature([*own, *taken, *last], return_annotation=inspect.signature(function).return_annotation)
        name = function.__qualname__.removesuffix(".__init__")

        def takes_options(*args, **kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as e:
                raise TypeError(f"{name}() {e}") from None
            bound.apply_defaults()
            given = [bound.arguments.pop(p.name) for p in own]
            return function(*given, **bound.arguments)

        functools.update_wrapper(takes_options, function)
        del takes_options.__wrapped__  # whose signature inspect would show
        takes_options.__signature__ = signature
        takes_options.__doc__ = _documented(inspect.getdoc(function) or "", options)
        return checked(takes_options, who=who)

    return decorate


def other(name, default=None, kind=inspect.Parameter.empty):
    """An argument that is no option, for `order`."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)


__all__ = ["Kind", "Word", "other", "takes"]
