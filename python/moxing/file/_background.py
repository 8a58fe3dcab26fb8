"""A folder that is brought to another place again and again, while the script goes on."""
import atexit
import sys
import threading
from collections.abc import Callable
from typing import Any


def _say(line):
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class BackgroundSync:
    """What background_sync_copy returns. stop() ends it after a last time; so does the end of the process.

    sync: the function that is called. what: its folders, for messages. seconds: between two calls.
    """

    def __init__(self, sync: "Callable[[], Any]", what: str, seconds: float):
        self._sync = sync
        self._what = what
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mox background sync", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self):
        while not self._stopped.wait(self._seconds):
            self._once()

    def _once(self):
        try:
            self._sync()
        except Exception as e:
            _say(f"WARNING: background_sync_copy {self._what}: {e}; the next time comes in {self._seconds:g} s")

    def stop(self) -> None:
        """Ends it, after the folder was brought over once more."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        atexit.unregister(self.stop)
        self._thread.join()
        self._once()

    def __repr__(self):
        return f"<BackgroundSync {self._what} every {self._seconds:g} s>"
