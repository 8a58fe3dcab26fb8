"""Made by scripts/stubs.py of what `import moxing.file._background` gives; not to be changed by hand."""
from collections.abc import Callable
from typing import Any

class BackgroundSync:
    """What background_sync_copy returns. stop() ends it after a last time; so does the end of the process.

    sync: the function that is called. what: its folders, for messages. seconds: between two calls.
    """
    def __init__(self, sync: Callable[[], Any], what: str, seconds: float) -> None: ...
    def stop(self) -> None:
        """Ends it, after the folder was brought over once more."""
