"""MoXing's own parameters: set on the command line (`--num_gpus=2`) or with set_flag before run."""
import sys

from moxing.tensorflow._runtime import engine


def get_flag(name=None, *, flag_name=None):
    """The flag's value. The manual writes both get_flag(name) and get_flag(flag_name=name)."""
    return engine.get_flag(flag_name if name is None else name)


def set_flag(name, value):
    """Before run, outside the user's functions."""
    engine.set_flag(name, value)


def get_help():
    """All flags with their defaults and values."""
    return engine.get_help()


def take_flags_from_command_line():
    """Leaves in sys.argv what MoXing does not know, for the script's own parser."""
    if len(getattr(sys, "argv", [])) > 1:
        sys.argv[1:] = engine.parse_flags(sys.argv[1:])
