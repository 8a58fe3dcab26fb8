"""Modules as the script sees them: a name first here, then in the real modules behind it, else an error that says so."""
import difflib
import importlib
import importlib.util
import types

from moxing.v1.nearest import nearest, somewhere

MISSING = object()
_API = "tensorflow._api.v2.compat.v1."  # its modules are views, too: what they lack is told as what tf lacks


def shown(name):
    """tensorflow.contrib.slim as scripts write it."""
    for package, short in (("tensorflow", "tf"), ("moxing.tensorflow", "mox")):
        if name == package or name.startswith(package + "."):
            return short + name[len(package):]
    return name


class NotProvided(AttributeError):
    """A name that old scripts use and that is not there, said in one line. `missing` is it, `hint` what is nearest."""

    def __init__(self, name, candidates=()):
        self.missing = name
        hint = nearest(name)
        if hint is None:
            close = difflib.get_close_matches(name.rpartition(".")[2], candidates, 1)
            hint = f"{shown(name.rpartition('.')[0])}.{close[0]}" if close else somewhere(name)
        self.hint = hint
        text = f"{shown(name)} is not provided to TensorFlow 1 scripts"
        super().__init__(text + (f"; nearest: {hint}" if hint else "; nothing is in its place" if hint == "" else ""))


def submodule(parent, name):
    """The module `name` of the real package `parent`, loaded when it must be; MISSING when there is none."""
    if not hasattr(parent, "__path__"):
        return MISSING
    full = f"{parent.__name__}.{name}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as e:
        if e.name != full:
            raise
        return MISSING


NotProvided.__module__ = "moxing.v1"


class View(types.ModuleType):
    """`provided`: name -> value, or a Lazy that makes it at its first use. `bases`: modules, or functions that load one."""

    def __init__(self, name, provided=None, bases=(), doc=None):
        super().__init__(name, doc)
        vars(self).update(_provided=dict(provided or {}), _bases=list(bases))

    def __getattr__(self, name):
        if name.startswith("__") and name not in self._provided:
            raise AttributeError(name)
        value = self._find(name)
        if value is MISSING:
            raise NotProvided(f"{self.__name__}.{name}", dir(self))
        if isinstance(value, types.ModuleType) and not isinstance(value, View) and str(vars(value).get("__name__")).startswith(_API):
            value = View(f"{self.__name__}.{name}", {}, [value], value.__doc__)
        setattr(self, name, value)
        return value

    def _find(self, name):
        if name in self._provided:
            value = self._provided[name]
            return value.make() if isinstance(value, Lazy) else value
        for find in (lambda base: getattr(base, name, MISSING), lambda base: submodule(base, name)):
            for base in self._loaded_bases():
                value = find(base)
                if value is not MISSING:
                    return value
        return MISSING

    def _loaded_bases(self):
        for i, base in enumerate(self._bases):
            if isinstance(base, Lazy):
                self._bases[i] = base = base.make()
            yield base

    def __dir__(self):
        names = {name for name in vars(self) if not name.startswith("_")} | set(self._provided)
        for base in self._loaded_bases():
            names.update(name for name in dir(base) if not name.startswith("_"))
        return sorted(names)


class Lazy:
    """A value that is made when a script asks for it, and kept."""

    def __init__(self, make):
        self.make = make


def module(name):
    """Lazy: a real module."""
    return Lazy(lambda: importlib.import_module(name))


def attribute(dotted):
    """Lazy: "package.module:name"."""
    package, _, name = dotted.partition(":")
    return Lazy(lambda: getattr(importlib.import_module(package), name))


def needed(package, distribution, what):
    """Raises ImportError when the package that `what` needs is not installed."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"{what} needs the package {distribution}, which is not installed: pip install --no-deps tf-slim==1.1.0 "
                          "tf-keras==2.21.0 (docs/old_scripts.md)")
