"""Made by scripts/stubs.py of what `import moxing.tensorflow.plugins` gives; not to be changed by hand."""
from typing import Any
import os

def load_plugin(path: str | bytes | os.PathLike[Any]) -> None:
    """Loads the library `path`, which registers what it brings; nothing when it is loaded already.

    Raises InvalidArgumentError for one of another version of MoXing, and for a name that is taken. Those of the environment's MOX_PLUGINS are loaded when moxing.tensorflow is imported.
    """
