#!/usr/bin/env python3
"""The stubs of the package (python/moxing/**/*.pyi): what editors complete and type checkers know.

They are made from the package as it is imported, since much of it is made then: arguments come from the engine's tables of options,
names of networks from its registry, types from the kinds that check arguments. A module whose names are public has an `__all__`; each
of these, and each module that such a name is defined in, gets a stub with its public names, their types and their help.

    .venv/bin/python scripts/stubs.py            writes them beside their modules
    .venv/bin/python scripts/stubs.py --check    says which are not up to date
"""
import argparse
import dataclasses
import importlib.util
import inspect
import os
import pathlib
import pkgutil
import re
import sys
import textwrap

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "python/moxing"
ROOTS = ("moxing.convert", "moxing.errors", "moxing.file", "moxing.tensorflow")
_HEAD = '''"""Made by scripts/stubs.py of what `import {name}` gives; not to be changed by hand."""
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import pandas
import tensorflow.compat.v1 as tf
'''
_IMPORTS = ("contextlib", "os", "Callable", "Iterator", "Sequence", "Any", "Literal", "NamedTuple", "pandas", "tf")


def public_modules():
    """Those with `__all__`, by name: the modules that the reference tells of."""
    found = {"moxing": importlib.import_module("moxing")}
    for root in ROOTS:
        module = importlib.import_module(root)
        found[root] = module
        for entry in pkgutil.walk_packages(getattr(module, "__path__", []), root + "."):
            if not any(part.startswith("_") for part in entry.name.split(".")):
                found[entry.name] = importlib.import_module(entry.name)
    return {name: module for name, module in found.items() if hasattr(module, "__all__")}


def public_names(module):
    """[(name, value)] of `__all__`, sorted."""
    return [(name, getattr(module, name)) for name in sorted(module.__all__)]


def _hint(annotation, optional):
    """The type of an annotation, as text; None where there is none."""
    if annotation is inspect.Parameter.empty:
        return None
    if annotation is None:
        return "None"
    hint = getattr(annotation, "hint", None)  # a Kind
    if hint is not None:
        return f"{hint} | None" if optional or annotation.none else hint
    return re.sub(r"\b(moxing\.[\w.]+|typing|builtins)\.", "", annotation if isinstance(annotation, str) else inspect.formatannotation(annotation))


def _default(value):
    plain = value is None or isinstance(value, (bool, int, float, str, bytes)) or value == ()
    return repr(value) if plain else "..."


def _parameter(parameter):
    hint = _hint(parameter.annotation, parameter.default is None)
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = stars + parameter.name + (f": {hint}" if hint else "")
    if parameter.default is not parameter.empty:
        text += f" = {_default(parameter.default)}"
    return text


def signature_of(function):
    return inspect.signature(function)


def _arguments(signature, first=()):
    """The text between the parentheses; long ones one a line."""
    texts, keyword_only = list(first), False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            if not any(text.startswith("*") for text in texts):
                texts.append("*")
        keyword_only = keyword_only or parameter.kind is parameter.VAR_POSITIONAL
        texts.append(_parameter(parameter))
    line = ", ".join(texts)
    return line if len(line) < 100 else "\n    " + ",\n    ".join(texts) + ",\n"


def _doc(value):
    text = inspect.getdoc(value) or ""
    return [f'"""{line}' if number == 0 else line for number, line in enumerate(text.replace("\\", "\\\\").splitlines())]


def _body(lines, doc):
    """A block of `doc`, closed, and of lines; "" when there is neither."""
    doc = [*doc[:-1], doc[-1] + '"""'] if len(doc) == 1 else [*doc, '"""'] if doc else []
    return textwrap.indent("\n".join([*doc, *lines]), "    ", lambda line: line.strip())


def head_of(name, function, first=()):
    """`name(arguments) -> what comes back`, with the types that type checkers know."""
    signature = signature_of(function)
    hint = "None" if name == "__init__" else _hint(signature.return_annotation, False)
    return f"{name}({_arguments(signature, first)})" + (f" -> {hint}" if hint else "")


def _function(name, function, first=()):
    head = f"def {head_of(name, function, first)}:"
    own_doc = function.__doc__ != object.__init__.__doc__
    return _with_body(head, [], _doc(function) if own_doc else [])


def _with_body(head, lines, doc):
    body = _body(lines, doc)
    return f"{head}\n{body}" if body else f"{head} ..."


class Bound:
    """A method's signature without its first argument."""

    def __init__(self, function):
        signature = inspect.signature(function)
        self.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
        self.__doc__ = function.__doc__ and inspect.getdoc(function)

    def __call__(self):
        raise NotImplementedError


def _base(base):
    if base.__module__.startswith("moxing"):
        return "" if base.__name__.startswith("_") else base.__name__
    if base.__module__.startswith("tensorflow"):
        return "tf.train." + base.__name__
    return "" if base is object else base.__name__


def _bases(cls):
    """Names of the public bases; a private one stands for its own."""
    names = []
    for base in cls.__bases__:
        names += [_base(base)] if _base(base) else _bases(base) if base is not object else []
    return names


def _own(cls):
    """{name: value} of the class and of its private bases."""
    members = {}
    for base in reversed([b for b in cls.__bases__ if b.__module__.startswith("moxing") and b.__name__.startswith("_")]):
        members.update(_own(base))
    return {**members, **vars(cls)}


def _annotations(cls):
    found = {}
    for base in reversed(cls.__mro__):
        if base is cls or base.__name__.startswith("_"):
            found.update(vars(base).get("__annotations__", {}))
    return found


def _members(cls):
    lines = []
    for name, annotation in _annotations(cls).items():
        optional = dataclasses.is_dataclass(cls) and name in vars(cls)
        lines.append(f"{name}: {_hint(annotation, False)}" + (" = ..." if optional else ""))
    if issubclass(cls, tuple) or dataclasses.is_dataclass(cls):
        return lines
    for name, value in sorted(_own(cls).items(), key=lambda pair: (pair[0] != "__init__", pair[0])):
        if name == "__init__" and inspect.isfunction(value):
            lines.append(_function(name, Bound(value), ["self"]))
        elif name.startswith("_"):
            continue
        elif isinstance(value, property):
            lines.append("@property\n" + _function(name, Bound(value.fget), ["self"]))
        elif isinstance(value, str):
            lines.append(f"{name}: Literal[{value!r}]")
        elif inspect.isfunction(value):
            lines.append(_function(name, Bound(value), ["self"]))
    return lines


def _class(name, cls):
    fields = getattr(cls, "_fields", None)
    bases = ["NamedTuple"] if issubclass(cls, tuple) and fields else _bases(cls)
    head = f"class {name}({', '.join(bases)}):" if bases else f"class {name}:"
    if dataclasses.is_dataclass(cls):
        head = "@dataclasses.dataclass\n" + head
    return _with_body(head, _members(cls), _doc(cls))


def _file_class(cls):
    """File opens: what comes back is an io object and a File, of text or of bytes: what is read is either."""
    opened = importlib.import_module("moxing.file._stream")._open
    made = _function("__init__", opened, ["self"])
    own = [_function(name, Bound(vars(cls)[name]), ["self"]) for name in ("next", "size")]
    return f"class File(io.TextIOWrapper):\n{_body([made, *own, *_EITHER], _doc(cls))}"


_EITHER = """def __iter__(self) -> Iterator[Any]: ...
def __next__(self) -> Any: ...
def read(self, size: int | None = -1, /) -> Any: ...
def readinto(self, buffer: Any, /) -> int: ...
def readline(self, size: int | None = -1, /) -> Any: ...
def readlines(self, hint: int = -1, /) -> list[Any]: ...
def write(self, data: Any, /) -> int: ...
def writelines(self, lines: Any, /) -> None: ...""".splitlines()


def _defined(name, value):
    if name == "File":
        return _file_class(value)
    if inspect.isclass(value):
        return _class(name, value)
    if callable(value):
        return _function(name, value)
    return f"{name}: {type(value).__name__}"


def _needed_by(text, module, homes):
    """Imports of the public names of other modules that the text uses."""
    lines = []
    for name, home in sorted(homes.items()):
        if home != module and re.search(rf"\b{name}\b", _code(text)):
            lines.append(f"from {home} import {name}")
    return lines


def _stub(module, defined, imported, homes):
    """defined: {name: value} whose place this is; imported: lines."""
    text = "\n\n".join(_defined(name, value) for name, value in sorted(defined.items(), key=_order_of(defined)))
    head = _HEAD.format(name=module)
    code = _code(text)
    used = {name for name in _IMPORTS if re.search(rf"(?<![.\w]){name}\b", code)}
    lines = []
    for line in head.splitlines()[1:]:
        names = re.findall(r"\w+", line.partition("import ")[2].partition(" as ")[2] or line.partition("import ")[2])
        kept = [name for name in names if name in used]
        if not kept:
            continue
        lines.append(line if len(kept) == len(names) else line.partition("import ")[0] + "import " + ", ".join(kept))
    lines += [f"import {name}" for name in ("dataclasses", "io") if re.search(rf"\b{name}\.", code)]
    others = [line for line in _needed_by(text, module, homes) if line not in imported]
    version = ["", "__version__: str"] if hasattr(importlib.import_module(module), "__version__") else []
    return "\n".join([head.splitlines()[0], *sorted(lines), *others, *imported, *version, "", text, ""]).replace("\n\n\n", "\n\n")


def _order_of(defined):
    """Classes come after their bases: a base has fewer ancestors."""
    def order(item):
        value = item[1]
        return (not inspect.isclass(value), len(value.__mro__) if inspect.isclass(value) else 0, item[0])
    return order


def _place(module):
    """Where the stub of a module lies."""
    path = pathlib.Path(*module.split(".")[1:])
    return PACKAGE / path / "__init__.pyi" if (PACKAGE / path).is_dir() else (PACKAGE / path).with_suffix(".pyi")


def _home(name, value, module):
    """The module that a public name is defined in."""
    home = getattr(value, "__module__", None)
    return home if home and home.startswith("moxing") and (inspect.isclass(value) or callable(value)) else module


def make():
    """{path: text} of all stubs."""
    defined, imported, homes = {}, {}, {}
    for module, of in public_modules().items():
        defined.setdefault(module, {})
        for name, value in public_names(of):
            if inspect.ismodule(value):
                package, _, last = value.__name__.rpartition(".")
                imported.setdefault(module, []).append(f"from {package} import {last} as {name}")
                continue
            home = _home(name, value, module)
            if inspect.isclass(value) and home != module:
                homes[value.__name__] = home
            if home != module:
                imported.setdefault(module, []).append(f"from {home} import {value.__name__} as {name}")
            if home.startswith("moxing"):
                defined.setdefault(home, {})[value.__name__ if home != module else name] = value
            if inspect.isclass(value):
                homes[value.__name__] = home
    for names in list(defined.values()):  # public classes of private or internal places that public ones are made of
        for base in [base for value in names.values() if inspect.isclass(value) for base in value.__mro__]:
            if base.__module__.startswith("moxing") and not base.__name__.startswith("_"):
                defined.setdefault(base.__module__, {})[base.__name__] = base
                homes[base.__name__] = base.__module__
    while _add_mentioned(defined, homes):
        pass
    return {_place(module): _stub(module, names, imported.get(module, []), homes) for module, names in defined.items()}


def _add_mentioned(defined, homes):
    """Adds classes that signatures mention (what functions return) and no `__all__` names; True when there were some."""
    added = False
    for module, names in list(defined.items()):
        of = vars(importlib.import_module(module))
        for word in set(re.findall(r"\b[A-Z]\w+", _code("\n".join(_defined(*item) for item in names.items())))):
            value = of.get(word)
            if inspect.isclass(value) and value.__module__.startswith("moxing") and word not in homes:
                defined.setdefault(value.__module__, {})[word] = value
                homes[word] = value.__module__
                added = True
    return added


def _code(text):
    """Without the docstrings."""
    return re.sub(r'""".*?"""', "", text, flags=re.S)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a stub is not up to date")
    check = parser.parse_args().check
    stubs = make()
    stale = [path for path, text in stubs.items() if not path.exists() or path.read_text() != text]
    left = [path for path in PACKAGE.rglob("*.pyi") if path not in stubs]
    if check:
        if stale or left:
            names = ", ".join(str(path.relative_to(PACKAGE)) for path in stale + left)
            sys.exit(f"not up to date: {names}; run .venv/bin/python scripts/stubs.py and commit what it writes")
        return
    for path in stale:
        path.write_text(stubs[path])
    for path in left:
        path.unlink()
    (PACKAGE / "py.typed").touch()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if importlib.util.find_spec("moxing") is None:
        sys.path.insert(0, str(PACKAGE.parents[1] / "build/release/python"))
    main()
