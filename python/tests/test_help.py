"""help() of what is public: every function, class and method says what it does, what each argument is and what comes back."""
import dataclasses
import importlib.util
import inspect
import pathlib
import re

import moxing.tensorflow as mox
from moxing import file

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/stubs.py"
spec = importlib.util.spec_from_file_location("stubs", SCRIPT)
stubs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stubs)


def public():
    """[(name, function or None, its text, whether it is a constructor)] of all that is public: functions, classes, methods."""
    found = {}
    for module in stubs.public_modules().values():
        for name, value in stubs.public_names(module):
            if inspect.isclass(value):
                init = None if dataclasses.is_dataclass(value) else vars(value).get("__init__")  # whose fields have types
                text = f"{inspect.getdoc(value) or ''}\n{(init and init.__doc__) or ''}"
                found[f"{module.__name__}.{name}"] = (init and stubs.Bound(init), text, True)
                for method, of in vars(value).items():
                    of = of.fget if isinstance(of, property) else of
                    if not method.startswith("_") and inspect.isfunction(of) and not hasattr(value, "_fields"):
                        found[f"{module.__name__}.{name}.{method}"] = (stubs.Bound(of), of.__doc__ or "", False)
            elif callable(value):
                found[f"{module.__name__}.{name}"] = (value, inspect.getdoc(value) or "", False)
    return [(name, *what) for name, what in found.items()]


def without(value, text, constructor=False):
    """What its help lacks."""
    if not text.strip():
        return ["a text"]
    if value is None:
        return []
    signature = inspect.signature(value)
    lacks = [f"{name}'s type" for name, p in signature.parameters.items() if p.annotation is p.empty]
    lacks += [f"a word on {name}" for name in signature.parameters if not re.search(rf"\b{name}\b", text)]
    if signature.return_annotation is signature.empty and not constructor:
        lacks.append("what comes back")
    return lacks


def test_nothing_public_lacks_a_text_or_a_type():
    names = public()
    assert len(names) > 120, "the walk finds too little"
    assert {name: lacks for name, *what in names if (lacks := without(*what))} == {}


def test_the_walk_sees_what_is_missing():
    def bare(url, *, threads=3):
        pass

    def told(url: str) -> None:
        """Of url."""
    assert without(bare, "Of url.") == ["url's type", "threads's type", "a word on threads", "what comes back"]
    assert without(bare, "") == ["a text"] and without(told, told.__doc__) == []


def test_run_tells_all_its_arguments():
    from moxing.tensorflow._runtime import engine
    options = [option["name"] for option in engine.run_options]
    text = mox.run.__doc__
    assert len(options) > 35 and all(re.search(rf"^ +{name}: \w", text, re.M) for name in options)
    assert [*inspect.signature(mox.run).parameters] == [*options, "progress"]


def test_the_packages_tell_their_errors():
    assert all(re.search(rf"\b{name}\b", mox.__doc__) for name in ("ArgumentTypeError", "InvalidArgumentError", "NotFoundError", "DataError",
                                                                 "RunError", "UnsupportedError"))
    assert all(re.search(rf"\b{name}\b", file.__doc__) for name in ("ArgumentTypeError", "FileNotFoundError", "MoxFileRespException"))
