"""Made by scripts/stubs.py of what `import moxing.file` gives; not to be changed by hand."""
from collections.abc import Callable, Iterator, Sequence
from typing import Any
import os
from moxing.file._background import BackgroundSync
from moxing.file._entries import CopySummary
from moxing.file._entries import DirEntry
from moxing.file._entries import Stat
from moxing.file.errors import CopyError as CopyError
from moxing.file._stream import File as File
from moxing.file.errors import MoxFileNameDuplicateException as MoxFileNameDuplicateException
from moxing.file.errors import MoxFileNotExistsException as MoxFileNotExistsException
from moxing.file.errors import MoxFileReadException as MoxFileReadException
from moxing.file.errors import MoxFileRespException as MoxFileRespException
from moxing.file._shift import shift as shift

def append(
    url: str | bytes | os.PathLike[Any],
    data: str | bytes | bytearray | memoryview,
    binary: bool = False,
) -> None:
    """Adds data to the end of the file `url`; makes the file when it is missing. data, binary and errors as write."""

def append_remote(src_url: str | bytes | os.PathLike[Any], dst_url: str | bytes | os.PathLike[Any]) -> None:
    """Adds the content of the file src_url to the end of dst_url, inside the store where part sizes allow it.

    Raises InvalidArgumentError when both are one file, FileNotFoundError when src_url is missing.
    """

def background_sync_copy(
    src_url: str | bytes | os.PathLike[Any],
    dst_url: str | bytes | os.PathLike[Any],
    seconds: float = 120,
    threads: int = 16,
) -> BackgroundSync:
    """sync(src_url, dst_url) every `seconds`, in a thread, and once more at the end of the process or with stop() of what is
    returned. What fails is told in a line and tried again the next time. threads: of sync.
    """

def copy(
    src_url: str | bytes | os.PathLike[Any],
    dst_url: str | bytes | os.PathLike[Any],
    client_id: Any = None,
) -> None:
    """Copies the file src_url to dst_url, atomically, checked by size and checksum; copy_parallel copies folders.

    client_id, which scripts for the original give, makes no difference. Raises FileNotFoundError when src_url is missing.
    """

def copy_once_per_host(src_url: str | bytes | os.PathLike[Any], dst_dir: str | bytes | os.PathLike[Any], threads: int = 16) -> CopySummary:
    """Copies the folder src_url into the local folder dst_dir once for many processes of a host: the first copies, the others
    wait for it and find all there.

    threads: transfers at once. Returns a CopySummary, of no files for those that waited. Where the first one is killed, the next
    one goes on; where its copy fails, those that wait fail with its error (OSError and FileNotFoundError keep their class).
    Raises InvalidArgumentError for a destination in a store.
    """

def copy_parallel(
    src_url: str | bytes | os.PathLike[Any],
    dst_url: str | bytes | os.PathLike[Any],
    file_list: Sequence[str | bytes | os.PathLike[Any]] | None = None,
    threads: int = 16,
    is_processing: bool = True,
    use_queue: bool = True,
) -> CopySummary:
    """Copies the content of the folder src_url into the folder dst_url; returns a CopySummary.

    file_list: names relative to src_url; None: all. threads: transfers at once; 0: in this thread. is_processing and use_queue,
    which scripts for the original give, make no difference: transfers are threads, and there is always a queue.

    Raises CopyError when some files failed: the others are in place, its `summary` says which; FileNotFoundError when src_url is
    missing.
    """

def exists(url: str | bytes | os.PathLike[Any]) -> bool:
    """Whether there is a file or a folder at `url`.

    Raises MoxFileRespException, and does not say False, where the store does not tell.
    """

def get_size(url: str | bytes | os.PathLike[Any], recursive: bool = False) -> int:
    """Bytes of the file `url`; of a local folder all below it, of an object store's folder 0 unless recursive.

    Raises FileNotFoundError when it is missing.
    """

def glob(url: str | bytes | os.PathLike[Any]) -> list[str]:
    """Absolute paths that match the pattern `url`, sorted: * ? [..] within a level, ** over levels.

    A folder that is there under exactly this name (`run[1]`) is taken as it is.
    """

def is_directory(url: str | bytes | os.PathLike[Any]) -> bool:
    """Whether there is a folder at `url`; False for what is missing, also for ''. Errors as exists."""

def list_directory(
    url: str | bytes | os.PathLike[Any],
    recursive: bool = False,
    remove_sep: bool = True,
    skip_file: bool = False,
    skip_dir: bool = False,
) -> list[str]:
    """The names in the folder `url`, in byte order.

    recursive: all that lies below, relative to url, not the first level only. remove_sep: False: names of folders end with '/'.
    skip_file: folders only. skip_dir: files only.

    Raises FileNotFoundError when it is missing, NotADirectoryError for a file.
    """

def load_plugin(path: str | bytes | os.PathLike[Any]) -> None:
    """Loads a library that brings file systems (docs/adding.md); one that brings more is moxing.tensorflow.load_plugin's.

    path: of the library. Nothing is done when it is loaded already; a library of another version of MoXing is refused.
    """

def make_dirs(url: str | bytes | os.PathLike[Any]) -> None:
    """Makes the folder `url` with all its parents; one that is there already is none too many.

    Raises FileExistsError when a file has the name.
    """

def mk_dir(url: str | bytes | os.PathLike[Any]) -> None:
    """Makes the folder `url`. Raises FileNotFoundError when its parent is missing, FileExistsError when it is there."""

def read(
    url: str | bytes | os.PathLike[Any],
    client_id: Any = None,
    binary: bool = False,
    exist_check: bool = True,
) -> Any:
    """The whole content of the file `url`: text (UTF-8), or bytes with binary=True.

    client_id and exist_check, which scripts for the original give, make no difference: what is missing is told by the read itself.

    Raises FileNotFoundError when it is missing, IsADirectoryError for a local folder, UnicodeDecodeError for what is no UTF-8,
    MoxFileReadException when what came is not what the store has.
    """

def remove(url: str | bytes | os.PathLike[Any], recursive: bool = False, bucket: bool = False) -> None:
    """Removes the file `url`; with recursive the folder, too. Silent when it is missing; a trailing '/' names a folder only.

    bucket: a whole bucket may go, with all that is in it. Raises InvalidArgumentError, before anything goes, for /, ., .., the
    current and the home folder, a mount's root, what holds one of them, and for a whole bucket unless bucket=True.
    """

def rename(
    src_url: str | bytes | os.PathLike[Any],
    dst_url: str | bytes | os.PathLike[Any],
    bucket: bool = False,
) -> None:
    """Moves the file or the folder src_url to dst_url, across stores, too; the source goes when the destination was looked at.

    bucket: either may be a whole bucket. Raises InvalidArgumentError for the places that remove refuses, FileNotFoundError when
    src_url is missing, Error when something came or changed there meanwhile, which stays.
    """

def scan_dir(url: str | bytes | os.PathLike[Any]) -> Iterator[DirEntry]:
    """A generator of DirEntry: the names in the folder `url` with what is known of each, without a request for each.

    Raises FileNotFoundError when it is missing, NotADirectoryError for a file.
    """

def set_auth(
    ak: str | None = None,
    sk: str | None = None,
    server: str | None = None,
    port: int | None = None,
    is_secure: bool | None = None,
    ssl_verify: bool | None = None,
    long_conn_mode: bool | None = None,
    path_style: bool | None = None,
    retry: int | None = None,
    retry_wait: float | None = None,
    client_timeout: float | None = None,
    list_max_keys: int | None = None,
    token: str | None = None,
    region: str | None = None,
    obs_client_log: Any = None,
    timeout_config: Any = None,
) -> None:
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

def stat(url: str | bytes | os.PathLike[Any]) -> Stat:
    """What there is at `url`, a Stat. Raises FileNotFoundError when it is missing."""

def sync(
    src_url: str | bytes | os.PathLike[Any],
    dst_url: str | bytes | os.PathLike[Any],
    threads: int = 16,
    delete_extra: bool = False,
    bucket: bool = False,
) -> CopySummary:
    """Copies the folder src_url into dst_url as copy_parallel, but only what differs in size, time or checksum.

    threads: transfers at once; 0: in this thread. delete_extra: remove from dst_url what src_url lacks: never at a place that
    remove refuses. bucket: with delete_extra, dst_url may be a whole bucket.

    Raises what copy_parallel raises, and InvalidArgumentError for such a place before anything is done.
    """

def walk(
    url: str | bytes | os.PathLike[Any],
    topdown: bool = True,
    onerror: Callable[[OSError], Any] | None = None,
    followlinks: bool = False,
) -> Iterator[tuple[Any, list[str], list[str]]]:
    """A generator of (folder, names of folders, names of files) for `url` and all folders below, as os.walk.

    topdown: folders before what is in them; their list may be changed then, to steer it. onerror: a function that gets what a
    listing raised; without it, a store's listing that cannot be read is raised: what is left out of it would be lost.
    followlinks: enter links to folders.
    """

def write(
    url: str | bytes | os.PathLike[Any],
    data: str | bytes | bytearray | memoryview,
    binary: bool = False,
) -> None:
    """Replaces the whole content of the file `url`, atomically: a reader sees the old or the new one.

    data: bytes, or a text, which is written as UTF-8. binary: True refuses a text.

    Raises FileNotFoundError when a local parent folder is missing, IsADirectoryError where a local folder has the name,
    MoxFileRespException when a store refuses.
    """
