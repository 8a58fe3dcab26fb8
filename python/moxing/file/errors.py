"""The exceptions of file operations. `resp` has status, code, message, request_id, host and resource."""
import types
from typing import Any

from moxing.errors import DataError, Error, InvalidArgumentError, NotFoundError


__all__ = ["CopyError", "MoxFileNameDuplicateException", "MoxFileNotExistsException", "MoxFileReadException",
           "MoxFileRespException", "OsError"]


class _MoxFileBaseRespException(Error):
    """What carries an object store's answer; never a key, a token or a signature."""

    def __init__(self, resp: Any = None, *args: Any):
        super().__init__(*args)
        self.resp = resp


class MoxFileNotExistsException(NotFoundError):
    """The path does not exist."""


class MoxFileNameDuplicateException(Error):
    """A download that would need a file and a folder of one name on a local disk."""


class MoxFileReadException(_MoxFileBaseRespException, OSError):
    """A body that broke after the store had answered 200."""


class MoxFileRespException(_MoxFileBaseRespException, OSError):
    """The store answered with a status >= 300, or not at all (status 0)."""


class _NotExistsInStore(MoxFileRespException, MoxFileNotExistsException):
    """A 404: whichever of the two a script catches."""


class CopyError(Error):
    """Some files of a copy failed: `summary`, a CopySummary, says which; the others are in place. args: the message."""

    summary: Any

    def __init__(self, summary: Any, *args: Any):
        super().__init__(*args)
        self.summary = summary


class OsError(Error, OSError):
    """The operating system refused: `errno` says why."""


def make(kind, text, detail):
    """Called by the extension: the exception of a kind with its details."""
    if kind in ("read", "resp", "not_exists"):
        resp = types.SimpleNamespace(**detail)
        if kind == "not_exists" and resp.status == 0:
            return MoxFileNotExistsException(text)
        return {"read": MoxFileReadException, "resp": MoxFileRespException, "not_exists": _NotExistsInStore}[kind](resp, text)
    if kind == "os":
        return _os_error(detail, text)
    if kind == "copy":
        return CopyError(detail, text)
    return {"duplicate": MoxFileNameDuplicateException, "argument": InvalidArgumentError, "data": DataError}.get(kind, Error)(text)


def _os_error(code, text):
    """OSError(code) chooses FileExistsError and its like; ours is both that and an Error."""
    plain = type(OSError(code, text))
    kind = OsError if plain is OSError else type(plain.__name__, (OsError, plain), {"__module__": __name__})
    return kind(code, text)
