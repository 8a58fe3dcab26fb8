"""MoXing: file operations (`mox.file`) and training on TensorFlow (`import moxing.tensorflow as mox`).

Importing this package loads neither of the two: they come with their first use.
"""
import importlib

__all__ = ["cache", "convert", "errors", "file", "framework", "tensorflow"]


def cache() -> None:
    """For scripts that call it: the original wrote checkpoints and events to a local folder first. Here they are written whole,
    with retries, and at their names when they are there: nothing is left to do."""


def __getattr__(name):
    if name == "__version__":
        return importlib.import_module("moxing._file").version()
    if name not in __all__:
        raise AttributeError(f"module 'moxing' has no attribute '{name}'; it has: {', '.join(__all__)}")
    return importlib.import_module("moxing." + name)
