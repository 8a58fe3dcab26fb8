"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.flags` gives; not to be changed by hand."""
from typing import Any

def get_flag(name: str | None = None, *, flag_name: str | None = None) -> Any:
    """The value of MoXing's flag `name`, as it was set or its default: a bool, int, float or str.

    flag_name: the same as name; the manual writes both. Raises InvalidArgumentError when there is no such flag.
    """

def get_help() -> str:
    """All flags with their defaults and values."""

def set_flag(name: str, value: bool | int | float | str) -> None:
    """Sets MoXing's flag `name` to value: before run, outside the user's functions. get_help() tells the flags and what they take.

    Raises InvalidArgumentError when there is no such flag or the value is none of its, ArgumentTypeError for one of another type.
    """
