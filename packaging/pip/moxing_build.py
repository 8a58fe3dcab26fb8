"""How pip builds the package: by scikit-build-core, against the headers and libraries of the TensorFlow that it will run on.

pip builds in an environment of its own. TensorFlow (1.4 GB) is laid there only where the Python that asks has none of the release; else that one
is taken, and a second build finds its objects where the first left them.
"""
import pathlib
import platform
import subprocess
import sys

import scikit_build_core.build as backend
from scikit_build_core.build import (build_sdist, get_requires_for_build_sdist, prepare_metadata_for_build_editable,
                                     prepare_metadata_for_build_wheel)

__all__ = ["build_editable", "build_sdist", "build_wheel", "get_requires_for_build_editable", "get_requires_for_build_sdist",
           "get_requires_for_build_wheel", "prepare_metadata_for_build_editable", "prepare_metadata_for_build_wheel"]

RELEASE = "2.21"
FOLDER = "cmake.define.TENSORFLOW_DIR"
FIND = "import importlib.util as u; print(u.find_spec('tensorflow').submodule_search_locations[0])"


def tensorflow():
    """The folder of TensorFlow's package, with headers: of this environment, then of the Python that pip installs into; or None."""
    for options in ([], ["-E"]):  # what separates pip's environment is in Python's variables
        done = subprocess.run([sys.executable, *options, "-c", FIND], capture_output=True, text=True)
        folder = pathlib.Path(done.stdout.strip() or "/none")
        if (folder / "include").is_dir() and any(folder.parent.glob(f"tensorflow*-{RELEASE}.*.dist-info")):
            return folder
    return None


def requirement():
    # On arm64 `tensorflow` is the package without CUDA.
    return f"tensorflow{'' if platform.machine() == 'aarch64' else '-cpu'}=={RELEASE}.0"


def needs(settings):
    return [] if FOLDER in (settings or {}) or tensorflow() else [requirement()]


def with_tensorflow(settings):
    folder = tensorflow()
    return {**({FOLDER: str(folder)} if folder else {}), **(settings or {})}


def get_requires_for_build_wheel(config_settings=None):
    return [*backend.get_requires_for_build_wheel(config_settings), *needs(config_settings)]


def get_requires_for_build_editable(config_settings=None):
    return [*backend.get_requires_for_build_editable(config_settings), *needs(config_settings)]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return backend.build_wheel(wheel_directory, with_tensorflow(config_settings), metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return backend.build_editable(wheel_directory, with_tensorflow(config_settings), metadata_directory)
