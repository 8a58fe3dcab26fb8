"""File operations on local paths and object stores (`s3://bucket/key`; `obs://` is the same), in any mix."""
import importlib
import os
import sys
from collections import namedtuple

from moxing import _file
from moxing._arguments import (Bytes, Integer, ListOf, Number, Path, Secret, Switch, Text, also_called as _also_called,
                               checked as _checked, shown)
from moxing.errors import ArgumentTypeError
from moxing.file._background import BackgroundSync
from moxing.file._paths import encode as _encode, is_remote as _is_remote
from moxing.file._shift import shift
from moxing.file._stream import File
from moxing.file.errors import (CopyError, MoxFileNameDuplicateException, MoxFileNotExistsException, MoxFileReadException,
                                MoxFileRespException)

__all__ = ["File", "append", "append_remote", "background_sync_copy", "copy", "copy_once_per_host", "copy_parallel", "exists",
           "get_size", "glob", "is_directory", "list_directory", "load_plugin", "make_dirs", "mk_dir", "read", "remove", "rename", "scan_dir", "set_auth", "shift",
           "stat", "sync", "walk", "write", "CopyError", "MoxFileNameDuplicateException", "MoxFileNotExistsException",
           "MoxFileReadException", "MoxFileRespException"]


class Stat:
    """length, mtime_nsec, is_directory, etag, and the st_* names of os.stat_result."""

    def __init__(self, length, mtime_nsec, is_directory, mode, etag=""):
        self.length, self.mtime_nsec, self.is_directory, self.etag = length, mtime_nsec, is_directory, etag
        self.st_mode, self.st_size = mode, length
        self.st_mtime_ns = self.st_atime_ns = self.st_ctime_ns = mtime_nsec
        self.st_mtime = self.st_atime = self.st_ctime = mtime_nsec / 1e9
        self.st_ino = self.st_dev = self.st_uid = self.st_gid = 0
        self.st_nlink = 1

    def __repr__(self):
        return f"Stat(length={self.length}, mtime_nsec={self.mtime_nsec}, is_directory={self.is_directory})"


class DirEntry:
    """A name in a folder, as os.scandir gives it."""

    def __init__(self, name, path, st):
        self.name, self.path, self._stat = name, path, st

    def is_dir(self, *, follow_symlinks=True):
        return self._stat.is_directory

    def is_file(self, *, follow_symlinks=True):
        return not self._stat.is_directory

    def is_symlink(self):
        return False

    def stat(self, *, follow_symlinks=True):
        return self._stat

    def inode(self):
        return 0

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"


_PATH = Path()
_SWITCH = Switch()
_BYTES = Bytes()
_THREADS = Integer(0, _file.MAX_THREADS)
_SECRET = Secret()
_NAME = Text()
_LIMITS = _file.auth_limits

CopySummary = namedtuple("CopySummary", "files bytes skipped deleted seconds failed")


@_checked
def load_plugin(path: _PATH):
    """Loads a library that brings file systems (docs/adding.md); one that brings more is moxing.tensorflow.load_plugin's."""
    _file.load_plugin(_encode(path))


@_checked
def read(url: _PATH, client_id=None, binary: _SWITCH = False, exist_check: _SWITCH = True):
    """The whole content: text (UTF-8), or bytes with binary=True. exist_check makes no difference: what is missing is told by
    the read itself."""
    data = _file.read(_encode(url))
    try:
        return data if binary else data.decode("utf-8")
    except UnicodeDecodeError as e:
        e.reason += f"; {url!r} is no UTF-8 text: read it with binary=True"
        raise


def _to_bytes(data, binary):
    if isinstance(data, str):
        if binary:
            raise ArgumentTypeError(f"data is {shown(data)}, expected bytes with binary=True")
        return data.encode("utf-8")
    return data


@_checked
def write(url: _PATH, data: _BYTES, binary: _SWITCH = False):
    """Replaces the whole content."""
    _file.write(_encode(url), _to_bytes(data, binary))


@_checked
def append(url: _PATH, data: _BYTES, binary: _SWITCH = False):
    """Adds to the end; makes the file when it is missing."""
    _file.append(_encode(url), _to_bytes(data, binary))


@_checked
def append_remote(src_url: _PATH, dst_url: _PATH):
    """Adds the content of src to the end of dst, inside the store where part sizes allow it."""
    _file.append_remote(_encode(src_url), _encode(dst_url))


@_checked
def copy(src_url: _PATH, dst_url: _PATH, client_id=None):
    """One file; copy_parallel copies folders."""
    _file.copy(_encode(src_url), _encode(dst_url))


@_checked
def copy_parallel(src_url: _PATH, dst_url: _PATH, file_list: ListOf(_PATH) = None, threads: _THREADS = 16,
                  is_processing: _SWITCH = True, use_queue: _SWITCH = True):
    """The content of the folder src into the folder dst, with `threads` transfers at once (0: in this thread)."""
    names = [_encode(name) for name in file_list or []]
    if file_list is not None and not names:
        return CopySummary(0, 0, 0, 0, 0.0, [])
    return CopySummary(**_file.copy_parallel(_encode(src_url), _encode(dst_url), names, threads, False, False))


@_checked
def sync(src_url: _PATH, dst_url: _PATH, threads: _THREADS = 16, delete_extra: _SWITCH = False, bucket: _SWITCH = False):
    """As copy_parallel, but only what differs in size, time or checksum. delete_extra removes what the source lacks: never
    at a place that remove refuses."""
    return CopySummary(**_file.sync(_encode(src_url), _encode(dst_url), [], threads, delete_extra, bucket))


@_checked
def background_sync_copy(src_url: _PATH, dst_url: _PATH, seconds: Number(0.01, 1e9) = 120, threads: _THREADS = 16):
    """sync(src_url, dst_url) every `seconds`, in a thread, and once more at the end of the process or with stop() of what is
    returned. What fails is told in a line and tried again the next time."""
    return BackgroundSync(lambda: sync(src_url, dst_url, threads), f"{os.fsdecode(src_url)} to {os.fsdecode(dst_url)}", seconds)


@_checked
def copy_once_per_host(src_url: _PATH, dst_dir: _PATH, threads: _THREADS = 16):
    """For many processes on one host: the first copies, the others wait for it and find all there. Where it is killed, the next one
    goes on; where its copy fails, those that wait fail with its error (OSError and FileNotFoundError keep their class)."""
    return CopySummary(**_file.copy_once_per_host(_encode(src_url), _encode(dst_dir), [], threads, False, False))


@_checked
def exists(url: _PATH):
    return _file.exists(_encode(url))


@_checked
def is_directory(url: _PATH):
    """False for what is missing, also for ''."""
    return bool(os.fspath(url)) and _file.is_directory(_encode(url))


@_also_called(recurisive="recursive")
@_checked
def get_size(url: _PATH, recursive: _SWITCH = False):
    """Bytes; of an object store's folder 0 unless recursive."""
    return _file.get_size(_encode(url), recursive)


@_also_called(src_url="url")
@_checked
def stat(url: _PATH):
    return Stat(*_file.stat(_encode(url)))


@_also_called(recurisive="recursive")
@_checked
def list_directory(url: _PATH, recursive: _SWITCH = False, remove_sep: _SWITCH = True, skip_file: _SWITCH = False,
                   skip_dir: _SWITCH = False):
    return _file.list_directory(_encode(url), recursive, remove_sep, skip_file, skip_dir)


@_checked
def scan_dir(url: _PATH):
    """A generator of DirEntry."""
    for name, path, st in _file.scan_dir(_encode(url)):
        yield DirEntry(name, path, Stat(*st))


@_checked
def glob(url: _PATH):
    """Absolute paths that match: * ? [..] within a level, ** over levels."""
    return _file.glob(_encode(url))


@_checked
def walk(url: _PATH, topdown=True, onerror=None, followlinks=False):
    """As os.walk; without `onerror`, a store's listing that cannot be read is raised: what is left out of it would be lost."""
    top = os.fspath(url)
    if not _is_remote(top):
        yield from _local_walk(top, topdown, onerror, followlinks)
        return
    try:
        entries = _file.scan_dir(_encode(top))
    except OSError as error:
        if onerror is not None:
            onerror(error)
        elif not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise
        return
    folders = [name for name, _, st in entries if st[2]]
    files = [name for name, _, st in entries if not st[2]]
    if topdown:
        yield top, folders, files
    for name in folders:
        yield from walk(top.rstrip("/") + "/" + name, topdown, onerror, followlinks)
    if not topdown:
        yield top, folders, files


_local_walk = os.walk


@_checked
def mk_dir(url: _PATH):
    """OSError when the parent is missing or the folder is there."""
    _file.mk_dir(_encode(url))


@_checked
def make_dirs(url: _PATH):
    _file.make_dirs(_encode(url))


@_also_called(recurisive="recursive")
@_checked
def remove(url: _PATH, recursive: _SWITCH = False, bucket: _SWITCH = False):
    """The file; with recursive the folder, too. Silent when missing; a trailing '/' names a folder only. ValueError, before
    anything goes, for /, ., .., the current and the home folder, a mount's root, what holds one of them, and for a whole
    bucket unless bucket=True."""
    _file.remove(_encode(url), recursive, bucket)


@_checked
def rename(src_url: _PATH, dst_url: _PATH, bucket: _SWITCH = False):
    """Files and folders, across stores; the source goes when the destination was looked at. Refuses what remove refuses."""
    _file.rename(_encode(src_url), _encode(dst_url), bucket)


@_checked
def set_auth(ak: _SECRET = None, sk: _SECRET = None, server: _NAME = None, port: Integer(*_LIMITS["port"]) = None,
             is_secure: _SWITCH = None, ssl_verify: _SWITCH = None, long_conn_mode: _SWITCH = None, path_style: _SWITCH = None,
             retry: Integer(*_LIMITS["retry"]) = None, retry_wait: Number(*_LIMITS["retry_wait"]) = None,
             client_timeout: Number(*_LIMITS["client_timeout"]) = None, list_max_keys: Integer(*_LIMITS["list_max_keys"]) = None,
             token: _SECRET = None, region: _NAME = None, obs_client_log=None, timeout_config=None):
    """How to reach the object store; what is not set comes from the environment (MOX_AK, …, AWS_ACCESS_KEY_ID, …).

    obs_client_log and timeout_config, which scripts for the original give, have no effect: a line says so.
    """
    for name, value, instead in (("obs_client_log", obs_client_log, "errors tell the store's answer and its request's id"),
                                 ("timeout_config", timeout_config, "client_timeout is the time without an answer of every request")):
        if value:
            sys.stderr.write(f"WARNING: set_auth: {name} has no effect in this version: {instead}\n")
    _file.set_auth(ak=ak, sk=sk, server=server, port=port, is_secure=is_secure, ssl_verify=ssl_verify, long_conn_mode=long_conn_mode,
                   path_style=path_style, retry=retry, retry_wait=retry_wait, client_timeout=client_timeout, list_max_keys=list_max_keys,
                   token=token, region=region)


def __getattr__(name):
    if name == "file_io":  # as scripts write it: mox.file.file_io
        return importlib.import_module("moxing.framework.file.file_io")
    raise AttributeError(f"module 'moxing.file' has no attribute '{name}'")
