"""Made by scripts/stubs.py of what `import moxing.file._stream` gives; not to be changed by hand."""
from collections.abc import Iterator
from typing import Any
import io
import os

class File(io.TextIOWrapper):
    """An open file on a local path or in an object store: an io object, and an instance of File.

    name: the path. mode: r w a r+ w+ a+, with b (bytes) in any place. buffering: bytes, 1: by lines, 0: none (of bytes only); -1: 64 KiB.
    encoding ('utf-8' when it is None), errors, newline: of text, as open's. An object that is read streams by ranges; one that is
    written goes up in parts, and shows at its path with flush() and close().

    Raises FileNotFoundError when what is read is missing, InvalidArgumentError for another mode, and encoding, errors or newline of bytes.
    """
    def __init__(
        self,
        name: str | bytes | os.PathLike[Any],
        mode: str = 'r',
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> None: ...
    def next(self) -> str | bytes:
        """The next line; StopIteration at the end."""
    def size(self) -> int:
        """Bytes; what was written is flushed first."""
    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...
    def read(self, size: int | None = -1, /) -> Any: ...
    def readinto(self, buffer: Any, /) -> int: ...
    def readline(self, size: int | None = -1, /) -> Any: ...
    def readlines(self, hint: int = -1, /) -> list[Any]: ...
    def write(self, data: Any, /) -> int: ...
    def writelines(self, lines: Any, /) -> None: ...
