"""Made by scripts/stubs.py of what `import moxing.file.errors` gives; not to be changed by hand."""
from typing import Any
from moxing.errors import Error
from moxing.errors import NotFoundError

class CopyError(Error):
    """Some files of a copy failed: `summary`, a CopySummary, says which; the others are in place. args: the message."""
    summary: Any
    def __init__(self, summary: Any, *args: Any) -> None: ...

class MoxFileNameDuplicateException(Error):
    """A download that would need a file and a folder of one name on a local disk."""

class OsError(Error, OSError):
    """The operating system refused: `errno` says why."""

class MoxFileReadException(Error, OSError):
    """A body that broke after the store had answered 200."""
    def __init__(self, resp: Any = None, *args: Any) -> None: ...

class MoxFileRespException(Error, OSError):
    """The store answered with a status >= 300, or not at all (status 0)."""
    def __init__(self, resp: Any = None, *args: Any) -> None: ...

class MoxFileNotExistsException(NotFoundError):
    """The path does not exist."""
