"""shift('os', 'mox'): open, os.*, os.path.*, glob.* and shutil.* take s3:// and obs:// paths, too; numpy and pandas with them."""
import builtins
import functools
import glob
import io
import os
import shutil

from moxing._arguments import shown
from moxing.errors import InvalidArgumentError
from moxing.file import _shift_libraries
from moxing.file._paths import is_remote

_originals = {}  # (module, name) -> what it was before; empty: not shifted


def _mox():
    import moxing.file
    return moxing.file


def _open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    return _mox().File(file, mode, buffering, encoding, errors, newline)


def _stat(path, *, dir_fd=None, follow_symlinks=True):
    return _mox().stat(path)


def _listdir(path="."):
    return _mox().list_directory(path)


def _makedirs(name, mode=0o777, exist_ok=False):
    if not exist_ok and _mox().is_directory(name):
        raise FileExistsError(17, "File exists", name)
    _mox().make_dirs(name)


def _mkdir(path, mode=0o777, *, dir_fd=None):
    _mox().mk_dir(path)


def _remove(path, *, dir_fd=None):
    if _mox().stat(path).is_directory:  # of what is missing, too, os.remove is an error
        raise IsADirectoryError(21, "Is a directory", path)
    _mox().remove(path)


def _rmdir(path, *, dir_fd=None):
    mox = _mox()
    if not mox.stat(path).is_directory:
        raise NotADirectoryError(20, "Not a directory", path)
    if mox.list_directory(path):
        raise OSError(39, "Directory not empty", path)
    mox.remove(path, recursive=True)


def _removedirs(name):
    """The folder, and those above it that are empty then; never the bucket."""
    _rmdir(name)
    scheme, _, rest = os.fspath(name).rstrip("/").partition("://")
    while rest.count("/") > 1:
        rest = rest.rpartition("/")[0]
        try:
            _rmdir(f"{scheme}://{rest}")
        except OSError:
            return


def _access(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
    """What is there can be read; whether it can be written the store tells who writes."""
    return _mox().exists(path)


class _Scan:
    """What os.scandir gives: an iterator that is a context manager."""

    def __init__(self, path):
        self._entries = _mox().scan_dir(path)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._entries.close()


def _isfile(path):
    mox = _mox()
    return mox.exists(path) and not mox.stat(path).is_directory


def _glob(pathname, *, root_dir=None, dir_fd=None, recursive=False, include_hidden=False):
    return _mox().glob(pathname)


def _copyfile(src, dst, *, follow_symlinks=True):
    _mox().copy(src, dst)
    return dst


def _copy_into(src, dst, *, follow_symlinks=True):
    if _mox().is_directory(dst):
        dst = os.path.join(dst, os.path.basename(os.fspath(src)))
    return _copyfile(src, dst)


def _copytree(src, dst, *args, dirs_exist_ok=False, **kwargs):
    if not dirs_exist_ok and _mox().is_directory(dst):
        raise FileExistsError(17, "File exists", dst)
    _mox().copy_parallel(src, dst)
    return dst


def _rmtree(path, ignore_errors=False, onerror=None, **kwargs):
    try:
        _mox().stat(path)
        _mox().remove(path, recursive=True)
    except OSError as error:
        if onerror is not None:
            onerror(os.remove, path, (type(error), error, error.__traceback__))
        elif not ignore_errors:
            raise


# (module, name, our function, how many of the first arguments are paths)
_TABLE = [
    (builtins, "open", _open, 1), (io, "open", _open, 1),
    (os, "stat", _stat, 1), (os, "listdir", _listdir, 1), (os, "makedirs", _makedirs, 1), (os, "mkdir", _mkdir, 1),
    (os, "rmdir", _rmdir, 1), (os, "removedirs", _removedirs, 1), (os, "access", _access, 1),
    (os, "remove", _remove, 1), (os, "unlink", _remove, 1), (os, "rename", lambda src, dst, **kw: _mox().rename(src, dst), 2),
    (os, "replace", lambda src, dst, **kw: _mox().rename(src, dst), 2),
    (os, "scandir", lambda path=".": _Scan(path), 1), (os, "walk", lambda top, *a, **kw: _mox().walk(top, *a, **kw), 1),
    (os.path, "exists", lambda path: _mox().exists(path), 1), (os.path, "lexists", lambda path: _mox().exists(path), 1),
    (os.path, "isdir", lambda path: _mox().is_directory(path), 1), (os.path, "isfile", _isfile, 1),
    (os.path, "getsize", lambda path: _mox().get_size(path), 1),
    (os.path, "getmtime", lambda path: _mox().stat(path).st_mtime, 1),
    (os.path, "abspath", lambda path: path, 1), (os.path, "realpath", lambda path, **kw: path, 1),
    (glob, "glob", _glob, 1), (glob, "iglob", lambda *a, **kw: iter(_glob(*a, **kw)), 1),
    (shutil, "copyfile", _copyfile, 2), (shutil, "copy", _copy_into, 2), (shutil, "copy2", _copy_into, 2),
    (shutil, "copytree", _copytree, 2), (shutil, "rmtree", _rmtree, 1),
    (shutil, "move", lambda src, dst, *a, **kw: (_mox().rename(src, dst), dst)[1], 2),
]


def _wrapper(original, ours, paths):
    @functools.wraps(original)
    def shifted(*args, **kwargs):
        if any(is_remote(path) for path in args[:paths]) or any(is_remote(path) for path in list(kwargs.values())[:paths]):
            return ours(*args, **kwargs)
        return original(*args, **kwargs)
    return shifted


_CAPABILITIES = ("supports_dir_fd", "supports_fd", "supports_follow_symlinks", "supports_effective_ids")


def _shift_on():
    _shift_libraries.shift_on()
    if _originals:
        return
    for module, name, ours, paths in _TABLE:
        original = getattr(module, name)
        _originals[module, name] = original
        replacement = _wrapper(original, ours, paths)
        setattr(module, name, replacement)
        if module is os:
            # The standard library asks these sets what a function can do.
            for capability in _CAPABILITIES:
                if original in getattr(os, capability):
                    getattr(os, capability).add(replacement)


def _shift_off():
    _shift_libraries.shift_off()
    for (module, name), original in _originals.items():
        if module is os:
            for capability in _CAPABILITIES:
                getattr(os, capability).discard(getattr(os, name))
        setattr(module, name, original)
    _originals.clear()


def shift(src: str, dst: str) -> None:
    """Lets open, os, os.path, glob and shutil take paths of object stores (docs/old_scripts.md): src 'os' and dst 'mox' turn it on,
    'mox' and 'os' off. Local paths behave exactly as before in both. Raises InvalidArgumentError for other words."""
    if (src, dst) == ("os", "mox"):
        _shift_on()
    elif (src, dst) == ("mox", "os"):
        _shift_off()
    else:
        raise InvalidArgumentError(f"shift({shown(src)}, {shown(dst)}): give ('os', 'mox') or ('mox', 'os')")
