"""Helpers that scripts import from here."""
import functools
import logging
import signal  # noqa: F401  scripts take it from here


class MoxTimeoutError(TimeoutError):
    """Never raised: waits have an end of their own, see mox.file.set_auth(client_timeout=…, retry=…)."""


def reset_logger(level=logging.INFO):
    """MoXing leaves Python's logging alone: nothing was changed that could be taken back. The root logger gets the level."""
    logging.getLogger().setLevel(level)


def get_func_name(function):
    """Also of functools.partial and of objects that are called."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
