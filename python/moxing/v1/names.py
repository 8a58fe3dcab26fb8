"""What the imports of a script mean: tensorflow, moxing.tensorflow, keras and modules of Python 2."""
import builtins
import functools
import importlib
import io
import sys
import warnings

from moxing.v1 import source
from moxing.v1.command_line import CommandLine
from moxing.v1.view import MISSING, Lazy, NotProvided, View, submodule

# Modules of Python 2 that have another name now. A module of that name that is there comes first.
_RENAMED = {
    "BaseHTTPServer": "http.server", "ConfigParser": "configparser", "Cookie": "http.cookies", "HTMLParser": "html.parser",
    "Queue": "queue", "SimpleHTTPServer": "http.server", "SocketServer": "socketserver", "StringIO": "io",
    "Tkinter": "tkinter", "__builtin__": "builtins", "cPickle": "pickle", "cStringIO": "io", "commands": "subprocess",
    "cookielib": "http.cookiejar", "copy_reg": "copyreg", "dummy_thread": "_thread", "httplib": "http.client",
    "thread": "_thread", "urllib2": "urllib.request", "urlparse": "urllib.parse", "xmlrpclib": "xmlrpc.client",
}
_BUILTINS = {"basestring": str, "long": int, "raw_input": input, "reduce": functools.reduce, "reload": importlib.reload,
             "unichr": chr, "unicode": str, "xrange": range,
             "cmp": lambda a, b: (a > b) - (a < b),
             "execfile": lambda path, *scopes: exec(compile(open(path, "rb").read(), path, "exec"), *scopes)}
_ITERTOOLS = {"izip": zip, "imap": map, "ifilter": filter}
# numpy's names of Python's types and its older spellings, which numpy 1.24 and 2.0 removed.
_NUMPY = {"bool": "bool_", "float_": "float64", "complex_": "complex128", "string_": "bytes_", "unicode_": "str_", "NaN": "nan",
          "NAN": "nan", "Inf": "inf", "Infinity": "inf", "infty": "inf", "PINF": "inf", "product": "prod",
          "cumproduct": "cumprod", "sometrue": "any", "alltrue": "all", "in1d": "isin", "row_stack": "vstack",
          "trapz": "trapezoid", "int0": "intp", "uint0": "uintp"}
_NUMPY_TYPES = {"int": int, "float": float, "complex": complex, "object": object, "str": str, "long": int, "unicode": str}

_ROOTS = ("absl", "importlib", "keras", "moxing", "tensorflow")
_ADDED_TO = ("itertools", "numpy", "pandas")


def _add(module, names):
    for name, value in names.items():
        try:
            getattr(module, name)
        except AttributeError:
            setattr(module, name, value)


def _take_bytes(numpy):
    """numpy.fromstring of bytes, which numpy 2.3 removed."""
    original = numpy.fromstring
    if getattr(original, "takes_bytes", False):
        return

    @functools.wraps(original)
    def fromstring(string, dtype=float, count=-1, *, sep="", like=None):
        if sep:
            return original(string, dtype, count, sep=sep, like=like)
        return numpy.frombuffer(string.encode("latin1") if isinstance(string, str) else string, dtype, count).copy()

    fromstring.takes_bytes = True
    numpy.fromstring = fromstring


def _take_texts(pandas):
    """pandas.read_json of the JSON itself, which pandas 3 takes for a path."""
    original = pandas.read_json
    if getattr(original, "takes_texts", False):
        return

    @functools.wraps(original)
    def read_json(path_or_buf, *args, **kwargs):
        if isinstance(path_or_buf, (bytes, bytearray)):
            path_or_buf = io.BytesIO(path_or_buf)
        elif isinstance(path_or_buf, str) and path_or_buf.lstrip()[:1] in ("{", "["):
            path_or_buf = io.StringIO(path_or_buf)
        return original(path_or_buf, *args, **kwargs)

    read_json.takes_texts = True
    pandas.read_json = read_json


class Names:
    """The object that code of the script calls for its imports (source.py)."""

    def __init__(self):
        self.command_line = CommandLine(lambda: self._root("tensorflow"))
        self.command_line.give_to_argparse()
        self.dict_method = source.dict_method
        self._flags = None
        self._roots = {}

    def prepare(self, module_globals):
        """Names of Python 2 for a module of the script that is about to run. They are in no other module."""
        module_globals[source.HELPER] = self
        for name, value in _BUILTINS.items():
            if not hasattr(builtins, name):
                module_globals.setdefault(name, value)

    def provides(self, name):
        root = name.partition(".")[0]
        return root in _ROOTS or root in _RENAMED or root in _ADDED_TO

    def load(self, name, leaf):
        """`import name`: the first package of it, or, with `as`, the module itself."""
        module = self._module(name)
        return module if leaf else self._module(name.partition(".")[0])

    def part(self, module, name):
        """`from module import name`."""
        return self._member(self._module(module), module, name)

    def everything(self, module):
        """`from module import *`."""
        owner = self._module(module)
        found = {}
        for name in getattr(owner, "__all__", None) or [name for name in dir(owner) if not name.startswith("_")]:
            try:
                found[name] = getattr(owner, name)
            except (AttributeError, ImportError):  # what is not installed is missed where it is used
                pass
        return found

    def _module(self, name):
        root, *parts = name.split(".")
        if root in _RENAMED:
            return self._renamed(root, name)
        if root in _ADDED_TO:
            return self._added_to(root, name)
        module, place = self._root(root), root
        for part in parts:
            module = self._member(module, place, part)
            place += "." + part
        return module

    def _member(self, owner, place, name):
        try:
            return getattr(owner, name)
        except NotProvided as e:
            raise ImportError(str(e), name=f"{place}.{name}") from None
        except AttributeError:
            found = submodule(owner, name)
        if found is MISSING:
            raise ImportError(str(NotProvided(f"{place}.{name}", dir(owner))), name=f"{place}.{name}")
        return found

    def _root(self, name):
        if name not in self._roots:
            self._roots[name] = getattr(self, "_make_" + name)()
        return self._roots[name]

    def _script_flags(self):
        if self._flags is None:
            from moxing.v1 import flags
            self._flags = flags.Flags(self.command_line)
        return self._flags

    def _load_tensorflow(self):
        try:
            from moxing.v1 import tensorflow1
            found = tensorflow1.views(self.command_line, self._script_flags())
        except ModuleNotFoundError as e:
            raise ImportError(f"{sys.executable} lacks the package {e.name}, which MoXing needs: install it there, or name "
                              "another Python in MOX_PYTHON", name=e.name) from None
        self._roots["tensorflow"], self._roots["moxing.tensorflow"] = found

    def _make_tensorflow(self):
        self._load_tensorflow()
        return self._roots["tensorflow"]

    def _make_moxing(self):
        import moxing

        def engine():
            if "moxing.tensorflow" not in self._roots:
                self._load_tensorflow()
            return self._roots["moxing.tensorflow"]

        return View("moxing", {"__version__": Lazy(lambda: moxing.__version__), "tensorflow": Lazy(engine),
                               "v1": Lazy(lambda: importlib.import_module("moxing.v1"))}, [moxing])

    def _make_keras(self):
        self._root("tensorflow")
        from moxing.v1 import keras
        return keras.keras("keras").make()

    def _make_absl(self):
        import absl.app
        import absl.flags
        from moxing.v1 import flags
        self._script_flags()
        view = flags.flags_view("absl.flags", self.command_line, absl.flags, absl.flags.FLAGS)
        app = flags.app_view("absl.app", self.command_line, absl.app, view)
        return View("absl", {"flags": view, "app": app}, [absl])

    def _make_importlib(self):
        """importlib.import_module, called by the script, means what `import` does."""
        def import_module(name, package=None):
            return self._module(name) if self.provides(name) else importlib.import_module(name, package)

        return View("importlib", {"import_module": import_module}, [importlib])

    def _renamed(self, root, name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as e:
            if e.name != root:
                raise
        return importlib.import_module(_RENAMED[root])

    def _added_to(self, root, name):
        module = importlib.import_module(root)
        if root == "itertools":
            _add(module, {**_ITERTOOLS, "izip_longest": module.zip_longest})
        elif root == "pandas":
            _take_texts(module)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _add(module, _NUMPY_TYPES)
                _add(module, {old: getattr(module, new) for old, new in _NUMPY.items() if hasattr(module, new)})
                _take_bytes(module)
        return importlib.import_module(name)
