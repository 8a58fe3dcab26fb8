"""Finds the modules of a script, and loads them with source.py in front."""
import importlib.machinery
import os
import site
import sys
import sysconfig

from moxing.v1 import source


def _installed_folders():
    """Where Python, its packages and MoXing lie, with a separator at the end."""
    folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += site.getsitepackages() + [site.getusersitepackages(), os.path.join(os.path.dirname(__file__), "..")]
    return tuple({os.path.join(os.path.realpath(folder), "") for folder in folders if folder})


def _holds_packages(folder):
    """Something was installed into it, as by `pip install --target`."""
    try:
        return any(name.endswith((".dist-info", ".egg-info")) for name in os.listdir(folder))
    except OSError:
        return False


class Finder:
    """For sys.meta_path. Of the script is what lies in, or below, a folder of sys.path that is no installation: its own
    folder, and those that PYTHONPATH or the script itself adds."""

    def __init__(self, names):
        self._names = names
        self._installed = _installed_folders()
        self._folders = {}  # entry of sys.path -> the folder, "" when it is an installation

    def find_spec(self, name, path=None, target=None):
        if name in sys.builtin_module_names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader or not self.is_scripts(spec.origin):
            return None
        spec.loader = Loader(spec.loader.name, spec.loader.path, self._names)
        spec.cached = None
        return spec

    def is_scripts(self, file):
        file = os.path.realpath(file)
        if file.startswith(self._installed) or "-packages" + os.sep in file:
            return False
        return any(folder and file.startswith(folder) for folder in map(self._folder, sys.path))

    def _folder(self, entry):
        folder = self._folders.get(entry)
        if folder is None:
            folder = os.path.join(os.path.realpath(entry), "")
            if folder.startswith(self._installed) or _holds_packages(folder):
                folder = ""
            if os.path.isabs(entry):  # what else an entry means depends on the working folder
                self._folders[entry] = folder
        return folder


class Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname, path, names):
        super().__init__(fullname, path)
        self._names = names

    def get_code(self, fullname):
        """Never from or to __pycache__: other programs would find our code there."""
        return source.compiled(self.get_data(self.path), self.path, self._names.provides)

    def exec_module(self, module):
        self._names.prepare(vars(module))
        super().exec_module(module)
