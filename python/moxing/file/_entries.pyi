"""Made by scripts/stubs.py of what `import moxing.file._entries` gives; not to be changed by hand."""
from typing import NamedTuple

class DirEntry:
    """A name in a folder, as os.scandir gives it.

    name: relative to the folder. path: folder + '/' + name. st: its Stat.
    """
    name: str
    path: str
    def __init__(self, name: str, path: str, st: Stat) -> None: ...
    def inode(self) -> int:
        """0: stores have none."""
    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder. follow_symlinks makes no difference: what a link leads to was looked at."""
    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is no folder; follow_symlinks as is_dir."""
    def is_symlink(self) -> bool:
        """False: links are told as what they lead to."""
    def stat(self, *, follow_symlinks: bool = True) -> Stat:
        """What the listing said of it, without another request; follow_symlinks as is_dir."""

class Stat:
    """What there is at a path, with the st_* names of os.stat_result, too.

    length: bytes; 0 for a folder. mtime_nsec: nanoseconds since 1970; 0 for a folder of an object store. is_directory: whether it
    is a folder. mode: type and permission bits, as st_mode. etag: of object stores only.
    """
    length: int
    mtime_nsec: int
    is_directory: bool
    etag: str
    st_mode: int
    st_size: int
    st_mtime: float
    st_mtime_ns: int
    def __init__(self, length: int, mtime_nsec: int, is_directory: bool, mode: int, etag: str = '') -> None: ...

class CopySummary(NamedTuple):
    """What a copy of a folder did."""
    files: int
    bytes: int
    skipped: int
    deleted: int
    seconds: float
    failed: list[tuple[str, str]]
