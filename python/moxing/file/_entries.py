"""What functions of moxing.file return: what there is at a path, in a folder, and what a copy did."""
from typing import NamedTuple


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

    def __init__(self, length: int, mtime_nsec: int, is_directory: bool, mode: int, etag: str = ""):
        self.length, self.mtime_nsec, self.is_directory, self.etag = length, mtime_nsec, is_directory, etag
        self.st_mode, self.st_size = mode, length
        self.st_mtime_ns = self.st_atime_ns = self.st_ctime_ns = mtime_nsec
        self.st_mtime = self.st_atime = self.st_ctime = mtime_nsec / 1e9
        self.st_ino = self.st_dev = self.st_uid = self.st_gid = 0
        self.st_nlink = 1

    def __repr__(self):
        return f"Stat(length={self.length}, mtime_nsec={self.mtime_nsec}, is_directory={self.is_directory})"


class DirEntry:
    """A name in a folder, as os.scandir gives it.

    name: relative to the folder. path: folder + '/' + name. st: its Stat.
    """

    name: str
    path: str

    def __init__(self, name: str, path: str, st: Stat):
        self.name, self.path, self._stat = name, path, st

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder. follow_symlinks makes no difference: what a link leads to was looked at."""
        return self._stat.is_directory

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is no folder; follow_symlinks as is_dir."""
        return not self._stat.is_directory

    def is_symlink(self) -> bool:
        """False: links are told as what they lead to."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> Stat:
        """What the listing said of it, without another request; follow_symlinks as is_dir."""
        return self._stat

    def inode(self) -> int:
        """0: stores have none."""
        return 0

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"


class CopySummary(NamedTuple):
    """What a copy of a folder did."""

    files: int     # transferred
    bytes: int     # sent or received
    skipped: int   # already there
    deleted: int   # by delete_extra
    seconds: float
    failed: list[tuple[str, str]]  # path and message
