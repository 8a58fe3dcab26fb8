"""The stores that all Python tests share lie with the package's tests."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python/tests"))
