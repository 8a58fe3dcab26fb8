"""`File`: a real io object on any path, so that whatever takes an open file takes it."""
import inspect
import io
import os

from moxing import _file
from moxing._arguments import Integer, Path, Text, checked
from moxing.errors import InvalidArgumentError
from moxing.file._paths import encode, is_remote


class _RawFile(io.RawIOBase):
    """An open object of a store, in bytes."""

    def __init__(self, name, mode):
        self._closing = False
        self._stream = _file.Stream(encode(name), mode)
        self.name = name
        self.mode = mode

    def readable(self):
        return self._stream.readable()

    def writable(self):
        return self._stream.writable()

    def seekable(self):
        return self._stream.seekable()

    def readinto(self, buffer):
        self._check(self.readable(), "read")
        return self._stream.readinto(buffer)

    def readall(self):
        self._check(self.readable(), "read")
        data = bytearray(max(0, self._stream.size() - self._stream.tell()))
        got = self._stream.readinto(data)
        return bytes(memoryview(data)[:got])

    def write(self, data):
        self._check(self.writable(), "write")
        return self._stream.write(data)

    def _check(self, allowed, what):
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if not allowed:
            raise io.UnsupportedOperation(f"{what} of '{self.name}', which is open with mode '{self.mode}'")

    @checked(who="seek")
    def seek(self, offset: Integer(), whence: Integer(0, 2) = io.SEEK_SET):
        self._check(self.seekable(), "seek")
        return self._stream.seek(offset, whence)

    def tell(self):
        self._check(True, "tell")
        return self._stream.tell()

    @checked(who="truncate")
    def truncate(self, size: Integer(0) = None):
        self._check(self.writable(), "truncate")
        size = self.tell() if size is None else size
        self._stream.truncate(size)
        return size

    def size(self):
        return self._stream.size()

    def flush(self):
        if not self.closed and not self._closing:
            self._stream.flush()

    def close(self):
        if not self.closed:
            self._closing = True  # RawIOBase.close flushes once more: what the stream's close has done already
            try:
                self._stream.close()
            finally:
                super().close()


class _FileType(type):
    """Calling `File` opens; what comes back is a binary or a text file, and an instance of File."""

    def __call__(cls, *args, **kwargs):
        return _open(*args, **kwargs) if cls is File else super().__call__(*args, **kwargs)


class File(metaclass=_FileType):
    """An open file on a local path or in an object store: an io object, and an instance of File.

    name: the path. mode: r w a r+ w+ a+, with b (bytes) in any place. buffering: bytes, 1: by lines, 0: none (of bytes only); -1: 64 KiB.
    encoding ('utf-8' when it is None), errors, newline: of text, as open's. An object that is read streams by ranges; one that is
    written goes up in parts, and shows at its path with flush() and close().

    Raises FileNotFoundError when what is read is missing, InvalidArgumentError for another mode, and encoding, errors or newline of bytes.
    """

    def next(self) -> "str | bytes":
        """The next line; StopIteration at the end."""
        return next(self)

    def size(self) -> int:
        """Bytes; what was written is flushed first."""
        if self.writable():
            self.flush()
        raw = self._raw()
        return raw.size() if isinstance(raw, _RawFile) else os.fstat(raw.fileno()).st_size


class _Buffered(File):
    def _raw(self):
        return self.raw

    def flush(self):
        super().flush()
        if self.writable():
            self.raw.flush()


class _BinaryReader(_Buffered, io.BufferedReader):
    pass


class _BinaryWriter(_Buffered, io.BufferedWriter):
    pass


class _BinaryRandom(_Buffered, io.BufferedRandom):
    pass


class _TextFile(File, io.TextIOWrapper):
    def _raw(self):
        return self.buffer.raw

    def tell(self):
        if self.seekable() or not self.writable():
            return super().tell()
        self.flush()  # a stream to a store does not seek, but knows its place
        return self.buffer.tell()


def normalize(mode):
    """'br+' -> ('r+', True)."""
    letters = mode.replace("b", "").replace("t", "")
    kind = letters.replace("+", "")
    if kind not in ("r", "w", "a") or letters.count("+") > 1 or mode.count("b") > 1 or ("b" in mode and "t" in mode):
        raise InvalidArgumentError(f"File: mode is {mode!r}, expected r, w, a, r+, w+ or a+, with b (bytes) or t (text) in any place")
    return kind + ("+" if "+" in letters else ""), "b" in mode


@checked(who="File")
def _open(name: Path(), mode: Text() = "r", buffering: Integer(-1, 2**28) = -1, encoding: Text() = None, errors: Text() = None,
          newline: Text() = None) -> "File":
    mode_given = mode
    mode, binary = normalize(mode)
    if binary and (encoding is not None or errors is not None or newline is not None):
        raise InvalidArgumentError("File: a binary file takes no encoding, errors or newline")
    raw = _RawFile(name, mode + "b") if is_remote(name) else io.FileIO(os.fspath(name), mode)
    try:
        if binary and buffering == 0:
            return raw
        kind = _BinaryRandom if "+" in mode else _BinaryReader if mode == "r" else _BinaryWriter
        # Large enough that a remote read or write is worth its call; readers with read-ahead below need no more.
        buffer = kind(raw, buffering if buffering > 1 else 1 << 16)
        result = buffer if binary else _TextFile(buffer, encoding or "utf-8", errors, newline, line_buffering=buffering == 1)
        if not binary:
            result.mode = mode_given
        return result
    except BaseException:
        raw.close()
        raise


File.__signature__ = inspect.signature(_open)  # of the call, in help()
