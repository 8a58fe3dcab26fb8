"""MoXing's own parameters: set on the command line (`--num_gpus=2`) or with set_flag before run."""
import sys
from typing import Any

from moxing._arguments import Text, checked, plain, shown
from moxing.errors import ArgumentTypeError, InvalidArgumentError
from moxing.tensorflow._runtime import engine


@checked
def get_flag(name: Text() = None, *, flag_name: Text() = None) -> "Any":
    """The value of MoXing's flag `name`, as it was set or its default: a bool, int, float or str.

    flag_name: the same as name; the manual writes both. Raises InvalidArgumentError when there is no such flag.
    """
    name = flag_name if name is None else name
    if name is None:
        raise InvalidArgumentError("get_flag: name is needed; get_help() tells the flags")
    return engine.get_flag(name)


@checked
def set_flag(name: Text(), value: "bool | int | float | str") -> None:
    """Sets MoXing's flag `name` to value: before run, outside the user's functions. get_help() tells the flags and what they take.

    Raises InvalidArgumentError when there is no such flag or the value is none of its, ArgumentTypeError for one of another type.
    """
    value = plain(value)
    expected = engine.flag_values(name)
    if not isinstance(value, (bool, int, float, str)):
        raise ArgumentTypeError(f"flag --{name}: got {shown(value)}, expected {expected}")
    if isinstance(value, int) and not -2**63 <= value < 2**63:
        raise InvalidArgumentError(f"flag --{name}: got {shown(value)}, expected {expected}")
    engine.set_flag(name, value)


def get_help() -> str:
    """All flags with their defaults and values."""
    return engine.get_help()


def take_flags_from_command_line():
    """Leaves in sys.argv what MoXing does not know, for the script's own parser."""
    if len(getattr(sys, "argv", [])) > 1:
        sys.argv[1:] = engine.parse_flags(sys.argv[1:])
