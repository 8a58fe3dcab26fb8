"""The console script `mox`: becomes the program of this package."""
import importlib.util
import os
import pathlib
import sys


def main():
    program = pathlib.Path(__file__).parent / "bin" / "mox"
    if not program.exists():
        sys.exit(f"mox: {program} is missing; install the package again, or use bin/mox of the build folder")
    tensorflow = importlib.util.find_spec("tensorflow")  # found without loading it; it may lie in another folder than this package
    for folder in (tensorflow and tensorflow.submodule_search_locations) or []:
        if os.path.exists(os.path.join(folder, "libtensorflow_cc.so.2")):
            os.environ.setdefault("TENSORFLOW_DIR", folder)
    os.environ.setdefault("MOX_PYTHON", sys.executable)  # of `mox script`: the Python that has this package
    os.execv(program, ["mox", *sys.argv[1:]])
