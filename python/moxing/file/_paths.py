import os


def encode(url):
    """What the extension takes: bytes, from str, bytes or os.PathLike."""
    return os.fsencode(url)


def is_remote(path):
    """Whether a path is one of an object store; anything that is no path is not."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if isinstance(path, bytes):
        return path.startswith((b"s3://", b"obs://"))
    return isinstance(path, str) and path.startswith(("s3://", "obs://"))
