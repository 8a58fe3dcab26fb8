"""File operations on local paths and object stores (`s3://bucket/key`; `obs://` is the same), in any mix.

Paths are str, bytes or os.PathLike. Every function looks at its arguments first: ArgumentTypeError (a TypeError) and
InvalidArgumentError (a ValueError) say which one does not fit. What fails later is an OSError: FileNotFoundError for what is
missing, MoxFileRespException where a store refuses or does not answer (`resp` has its status and code), MoxFileReadException
where what came is not what the store has; all of them are moxing.errors.Error, too.
"""
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from moxing import _file
from moxing._arguments import (Bytes, Integer, ListOf, Number, Path, Secret, Switch, Text, also_called as _also_called,
                               checked as _checked, shown)
from moxing.errors import ArgumentTypeError
from moxing.file._background import BackgroundSync
from moxing.file._entries import CopySummary, DirEntry, Stat
from moxing.file._paths import encode as _encode, is_remote as _is_remote
from moxing.file._shift import shift
from moxing.file._stream import File
from moxing.file.errors import (CopyError, MoxFileNameDuplicateException, MoxFileNotExistsException, MoxFileReadException,
                                MoxFileRespException)

__all__ = ["File", "append", "append_remote", "background_sync_copy", "copy", "copy_once_per_host", "copy_parallel", "exists",
           "get_size", "glob", "is_directory", "list_directory", "load_plugin", "make_dirs", "mk_dir", "read", "remove", "rename", "scan_dir", "set_auth", "shift",
           "stat", "sync", "walk", "write", "CopyError", "MoxFileNameDuplicateException", "MoxFileNotExistsException",
           "MoxFileReadException", "MoxFileRespException"]


_PATH = Path()
_SWITCH = Switch()
_BYTES = Bytes()
_THREADS = Integer(0, _file.MAX_THREADS)
_SECRET = Secret()
_NAME = Text()
_LIMITS = _file.auth_limits


@_checked
def load_plugin(path: _PATH) -> None:
    """Loads a library that brings file systems (docs/adding.md); one that brings more is moxing.tensorflow.load_plugin's.

    path: of the library. Nothing is done when it is loaded already; a library of another version of MoXing is refused.
    """
    _file.load_plugin(_encode(path))


@_checked
def read(url: _PATH, client_id: "Any" = None, binary: _SWITCH = False, exist_check: _SWITCH = True) -> "Any":
    """The whole content of the file `url`: text (UTF-8), or bytes with binary=True.

    client_id and exist_check, which scripts for the original give, make no difference: what is missing is told by the read itself.

    Raises FileNotFoundError when it is missing, IsADirectoryError for a local folder, UnicodeDecodeError for what is no UTF-8,
    MoxFileReadException when what came is not what the store has.
    """
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
def write(url: _PATH, data: _BYTES, binary: _SWITCH = False) -> None:
    """Replaces the whole content of the file `url`, atomically: a reader sees the old or the new one.

    data: bytes, or a text, which is written as UTF-8. binary: True refuses a text.

    Raises FileNotFoundError when a local parent folder is missing, IsADirectoryError where a local folder has the name,
    MoxFileRespException when a store refuses.
    """
    _file.write(_encode(url), _to_bytes(data, binary))


@_checked
def append(url: _PATH, data: _BYTES, binary: _SWITCH = False) -> None:
    """Adds data to the end of the file `url`; makes the file when it is missing. data, binary and errors as write."""
    _file.append(_encode(url), _to_bytes(data, binary))


@_checked
def append_remote(src_url: _PATH, dst_url: _PATH) -> None:
    """Adds the content of the file src_url to the end of dst_url, inside the store where part sizes allow it.

    Raises InvalidArgumentError when both are one file, FileNotFoundError when src_url is missing.
    """
    _file.append_remote(_encode(src_url), _encode(dst_url))


@_checked
def copy(src_url: _PATH, dst_url: _PATH, client_id: "Any" = None) -> None:
    """Copies the file src_url to dst_url, atomically, checked by size and checksum; copy_parallel copies folders.

    client_id, which scripts for the original give, makes no difference. Raises FileNotFoundError when src_url is missing.
    """
    _file.copy(_encode(src_url), _encode(dst_url))


@_checked
def copy_parallel(src_url: _PATH, dst_url: _PATH, file_list: ListOf(_PATH) = None, threads: _THREADS = 16,
                  is_processing: _SWITCH = True, use_queue: _SWITCH = True) -> CopySummary:
    """Copies the content of the folder src_url into the folder dst_url; returns a CopySummary.

    file_list: names relative to src_url; None: all. threads: transfers at once; 0: in this thread. is_processing and use_queue,
    which scripts for the original give, make no difference: transfers are threads, and there is always a queue.

    Raises CopyError when some files failed: the others are in place, its `summary` says which; FileNotFoundError when src_url is
    missing.
    """
    names = [_encode(name) for name in file_list or []]
    if file_list is not None and not names:
        return CopySummary(0, 0, 0, 0, 0.0, [])
    return CopySummary(**_file.copy_parallel(_encode(src_url), _encode(dst_url), names, threads, False, False))


@_checked
def sync(src_url: _PATH, dst_url: _PATH, threads: _THREADS = 16, delete_extra: _SWITCH = False,
         bucket: _SWITCH = False) -> CopySummary:
    """Copies the folder src_url into dst_url as copy_parallel, but only what differs in size, time or checksum.

    threads: transfers at once; 0: in this thread. delete_extra: remove from dst_url what src_url lacks: never at a place that
    remove refuses. bucket: with delete_extra, dst_url may be a whole bucket.

    Raises what copy_parallel raises, and InvalidArgumentError for such a place before anything is done.
    """
    return CopySummary(**_file.sync(_encode(src_url), _encode(dst_url), [], threads, delete_extra, bucket))


@_checked
def background_sync_copy(src_url: _PATH, dst_url: _PATH, seconds: Number(0.01, 1e9) = 120,
                         threads: _THREADS = 16) -> BackgroundSync:
    """sync(src_url, dst_url) every `seconds`, in a thread, and once more at the end of the process or with stop() of what is
    returned. What fails is told in a line and tried again the next time. threads: of sync."""
    return BackgroundSync(lambda: sync(src_url, dst_url, threads), f"{os.fsdecode(src_url)} to {os.fsdecode(dst_url)}", seconds)


@_checked
def copy_once_per_host(src_url: _PATH, dst_dir: _PATH, threads: _THREADS = 16) -> CopySummary:
    """Copies the folder src_url into the local folder dst_dir once for many processes of a host: the first copies, the others
    wait for it and find all there.

    threads: transfers at once. Returns a CopySummary, of no files for those that waited. Where the first one is killed, the next
    one goes on; where its copy fails, those that wait fail with its error (OSError and FileNotFoundError keep their class).
    Raises InvalidArgumentError for a destination in a store.
    """
    return CopySummary(**_file.copy_once_per_host(_encode(src_url), _encode(dst_dir), [], threads, False, False))


@_checked
def exists(url: _PATH) -> bool:
    """Whether there is a file or a folder at `url`.

    Raises MoxFileRespException, and does not say False, where the store does not tell.
    """
    return _file.exists(_encode(url))


@_checked
def is_directory(url: _PATH) -> bool:
    """Whether there is a folder at `url`; False for what is missing, also for ''. Errors as exists."""
    return bool(os.fspath(url)) and _file.is_directory(_encode(url))


@_also_called(recurisive="recursive")
@_checked
def get_size(url: _PATH, recursive: _SWITCH = False) -> int:
    """Bytes of the file `url`; of a local folder all below it, of an object store's folder 0 unless recursive.

    Raises FileNotFoundError when it is missing.
    """
    return _file.get_size(_encode(url), recursive)


@_also_called(src_url="url")
@_checked
def stat(url: _PATH) -> Stat:
    """What there is at `url`, a Stat. Raises FileNotFoundError when it is missing."""
    return Stat(*_file.stat(_encode(url)))


@_also_called(recurisive="recursive")
@_checked
def list_directory(url: _PATH, recursive: _SWITCH = False, remove_sep: _SWITCH = True, skip_file: _SWITCH = False,
                   skip_dir: _SWITCH = False) -> "list[str]":
    """The names in the folder `url`, in byte order.

    recursive: all that lies below, relative to url, not the first level only. remove_sep: False: names of folders end with '/'.
    skip_file: folders only. skip_dir: files only.

    Raises FileNotFoundError when it is missing, NotADirectoryError for a file.
    """
    return _file.list_directory(_encode(url), recursive, remove_sep, skip_file, skip_dir)


@_checked
def scan_dir(url: _PATH) -> "Iterator[DirEntry]":
    """A generator of DirEntry: the names in the folder `url` with what is known of each, without a request for each.

    Raises FileNotFoundError when it is missing, NotADirectoryError for a file.
    """
    for name, path, st in _file.scan_dir(_encode(url)):
        yield DirEntry(name, path, Stat(*st))


@_checked
def glob(url: _PATH) -> "list[str]":
    """Absolute paths that match the pattern `url`, sorted: * ? [..] within a level, ** over levels.

    A folder that is there under exactly this name (`run[1]`) is taken as it is.
    """
    return _file.glob(_encode(url))


@_checked
def walk(url: _PATH, topdown: "bool" = True, onerror: "Callable[[OSError], Any] | None" = None,
         followlinks: "bool" = False) -> "Iterator[tuple[Any, list[str], list[str]]]":
    """A generator of (folder, names of folders, names of files) for `url` and all folders below, as os.walk.

    topdown: folders before what is in them; their list may be changed then, to steer it. onerror: a function that gets what a
    listing raised; without it, a store's listing that cannot be read is raised: what is left out of it would be lost.
    followlinks: enter links to folders.
    """
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
def mk_dir(url: _PATH) -> None:
    """Makes the folder `url`. Raises FileNotFoundError when its parent is missing, FileExistsError when it is there."""
    _file.mk_dir(_encode(url))


@_checked
def make_dirs(url: _PATH) -> None:
    """Makes the folder `url` with all its parents; one that is there already is none too many.

    Raises FileExistsError when a file has the name.
    """
    _file.make_dirs(_encode(url))


@_also_called(recurisive="recursive")
@_checked
def remove(url: _PATH, recursive: _SWITCH = False, bucket: _SWITCH = False) -> None:
    """Removes the file `url`; with recursive the folder, too. Silent when it is missing; a trailing '/' names a folder only.

    bucket: a whole bucket may go, with all that is in it. Raises InvalidArgumentError, before anything goes, for /, ., .., the
    current and the home folder, a mount's root, what holds one of them, and for a whole bucket unless bucket=True.
    """
    _file.remove(_encode(url), recursive, bucket)


@_checked
def rename(src_url: _PATH, dst_url: _PATH, bucket: _SWITCH = False) -> None:
    """Moves the file or the folder src_url to dst_url, across stores, too; the source goes when the destination was looked at.

    bucket: either may be a whole bucket. Raises InvalidArgumentError for the places that remove refuses, FileNotFoundError when
    src_url is missing, Error when something came or changed there meanwhile, which stays.
    """
    _file.rename(_encode(src_url), _encode(dst_url), bucket)


@_checked
def set_auth(ak: _SECRET = None, sk: _SECRET = None, server: _NAME = None, port: Integer(*_LIMITS["port"]) = None,
             is_secure: _SWITCH = None, ssl_verify: _SWITCH = None, long_conn_mode: _SWITCH = None, path_style: _SWITCH = None,
             retry: Integer(*_LIMITS["retry"]) = None, retry_wait: Number(*_LIMITS["retry_wait"]) = None,
             client_timeout: Number(*_LIMITS["client_timeout"]) = None, list_max_keys: Integer(*_LIMITS["list_max_keys"]) = None,
             token: _SECRET = None, region: _NAME = None, obs_client_log: "Any" = None, timeout_config: "Any" = None) -> None:
    """How to reach the object store, for all operations that begin from now on.

    What is not set keeps what earlier calls set, and else comes from the environment: MOX_AK, …, AWS_ACCESS_KEY_ID, … (docs/environment.md).

    ak, sk: access key and secret key. token: session token. server: host, host:port or http(s)://host:port. port: of the server.
    is_secure: https (by default) or http. ssl_verify: look at the server's certificate; True by default. long_conn_mode: use
    connections again; True by default. path_style: host/bucket/key; False: bucket.host/key; by default by the kind of server.
    retry: attempts in all. retry_wait: seconds before the second one, doubled for each further. client_timeout: seconds without a
    byte after which an attempt counts as failed. list_max_keys: names in one page of a listing. region: of the store.
    obs_client_log and timeout_config, which scripts for the original give, have no effect: a line says so.

    Raises InvalidArgumentError that names the argument and its range.
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
    import difflib
    close = difflib.get_close_matches(name, [known for known, value in globals().items() if callable(value) and known[0].islower()], 1)
    raise AttributeError(f"module 'moxing.file' has no attribute '{name}'" + (f"; did you mean {close[0]}?" if close else ""))
