"""Checkpoints of weights that other libraries trained: `mox convert`, and convert_weights in Python.

Files are read here, without the libraries that wrote them, and nothing in them is executed.
"""
import importlib

__all__ = ["Converted", "convert_weights"]


def __getattr__(name):  # TensorFlow is loaded when it is needed: `mox convert --help` is not
    if name not in __all__:
        raise AttributeError(f"module 'moxing.convert' has no attribute '{name}'; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module("moxing.convert.convert"), name)
