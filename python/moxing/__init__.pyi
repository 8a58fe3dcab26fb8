"""Made by scripts/stubs.py of what `import moxing` gives; not to be changed by hand."""
from moxing import convert as convert
from moxing import errors as errors
from moxing import file as file
from moxing import framework as framework
from moxing import tensorflow as tensorflow

__version__: str

def cache() -> None:
    """For scripts that call it: the original wrote checkpoints and events to a local folder first. Here they are written whole,
    with retries, and at their names when they are there: nothing is left to do.
    """
