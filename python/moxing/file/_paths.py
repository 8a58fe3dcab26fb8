import os

from moxing import _file


def encode(url):
    """What the extension takes: bytes, from str, bytes or os.PathLike."""
    return os.fsencode(url)


def is_remote(path):
    """Whether a path is one of an object store, or of a registered file system; anything that is no path is not."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, (str, bytes)):
        return False
    mark = b"://" if isinstance(path, bytes) else "://"
    return mark in path and _file.is_remote(os.fsencode(path))
