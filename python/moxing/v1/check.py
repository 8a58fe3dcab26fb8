"""`mox script --check`: what a script uses of TensorFlow, Keras and MoXing, and what of it is missing. Runs nothing of it."""
import ast
import importlib.machinery
import importlib.util
import os
import sys
import types

from moxing.v1 import source
from moxing.v1.names import Names
from moxing.v1.view import NotProvided, shown

_ROOTS = ("tensorflow", "keras", "moxing")


class _Uses(ast.NodeVisitor):
    """Names of the packages that a module uses: {dotted name: first line}; and the modules that it imports."""

    def __init__(self):
        self.names = {}      # dotted -> line
        self.imports = {}    # module -> line
        self.parts = {}      # what is imported from them, which may be modules, too
        self._aliases = {}   # name in the script -> dotted

    def _note(self, dotted, line):
        self.names.setdefault(dotted, line)

    def visit_Import(self, node):
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root not in _ROOTS:
                self.imports.setdefault(alias.name, node.lineno)
                continue
            self._note(alias.name, node.lineno)
            self._aliases[alias.asname or root] = alias.name if alias.asname else root

    def visit_ImportFrom(self, node):
        module = node.module or ""
        if node.level or module.partition(".")[0] not in _ROOTS:
            dots = "." * node.level
            self.imports.setdefault(dots + module, node.lineno)
            for alias in node.names:
                self.parts.setdefault(dots + (module + "." if module else "") + alias.name, node.lineno)
            return
        for alias in node.names:
            if alias.name == "*":
                self._note(module, node.lineno)
                continue
            self._note(f"{module}.{alias.name}", node.lineno)
            self._aliases[alias.asname or alias.name] = f"{module}.{alias.name}"

    def _dotted(self, node):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._aliases:
            return None
        return ".".join([self._aliases[node.id], *reversed(parts)])

    def visit_Attribute(self, node):
        dotted = self._dotted(node)
        if dotted is None:
            self.generic_visit(node)
        else:
            self._note(dotted, node.lineno)

    def visit_Assign(self, node):
        """slim = tf.contrib.slim is another name for it."""
        self.generic_visit(node)
        dotted = self._dotted(node.value)
        if dotted is not None and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self._aliases[node.targets[0].id] = dotted


class _Modules:
    """The modules of a script, itself first."""

    def __init__(self, script, names):
        self._names = names
        self._folder = os.path.dirname(os.path.realpath(script))
        self.uses = {}      # path -> _Uses
        self.absent = []    # (path, line, module)
        self._waiting = [(script, "")]
        while self._waiting:
            self._read(*self._waiting.pop(0))

    def _read(self, path, package):
        if path in self.uses:
            return
        with open(path, "rb") as file:
            tree = source.parse(file.read(), path)
        uses = self.uses[path] = _Uses()
        uses.visit(tree)
        for module, line in uses.imports.items():
            module = self._absolute(module, package)
            if not self._follow(module) and not self._is_there(module.partition(".")[0]):
                self.absent.append((path, line, module))
        for module in uses.parts:
            self._follow(self._absolute(module, package))

    @staticmethod
    def _absolute(module, package):
        """..name in the package a.b is a.name."""
        name = module.lstrip(".")
        if name == module:
            return module
        base = package.split(".") if package else []
        base = base[:len(base) - (len(module) - len(name)) + 1]
        return ".".join(base + [name] if name else base)

    def _follow(self, module):
        """Whether it is a module beside the script; it is read, then, with the packages around it."""
        folders, found, package = [self._folder], False, []
        for part in module.split("."):
            spec = importlib.machinery.PathFinder.find_spec(part, folders)
            if spec is None:
                break
            found = True
            package.append(part)
            if spec.origin and spec.origin.endswith(".py"):
                inner = package if spec.submodule_search_locations else package[:-1]
                self._waiting.append((spec.origin, ".".join(inner)))
            folders = list(spec.submodule_search_locations or [])
            if not folders:
                break
        return found

    def _is_there(self, root):
        if not root or root in sys.builtin_module_names or self._names.provides(root):
            return True
        try:
            return importlib.util.find_spec(root) is not None
        except (ImportError, ValueError):
            return False


class _Resolver:
    def __init__(self, names):
        self._names = names
        self._known = {}  # dotted -> what is there, or the text of why not

    def look(self, dotted):
        """(the name, or the part of it in front of a value, which is not looked into; None, or why it is not there)."""
        parts = dotted.split(".")
        value = None
        for i in range(1, len(parts) + 1):
            name = ".".join(parts[:i])
            if name not in self._known:
                self._known[name] = self._look_up(name, value, parts[i - 1])
            there, value = self._known[name]
            if not there or not isinstance(value, (types.ModuleType, type)):
                return name, None if there else value
        return dotted, None

    def _look_up(self, name, owner, part):
        try:
            if owner is None:
                return True, self._names.load(part, True)
            if isinstance(owner, types.ModuleType):
                return True, self._names.part(name.rpartition(".")[0], part)
            return (True, getattr(owner, part)) if hasattr(owner, part) else (False, str(NotProvided(name, dir(owner))))
        except (ImportError, AttributeError) as e:
            return False, str(e)


def _line(folder, path, line, text):
    print(f"{os.path.relpath(path, folder)}:{line}: {text}")


def main(script):
    """Prints the list; 0 when all is there, 1 when something is missing or the script cannot be read."""
    folder = os.path.dirname(os.path.realpath(script))
    sys.path.insert(0, folder)
    names = Names()
    try:
        modules = _Modules(script, names)
    except SyntaxError as e:
        print(f"{e.filename}:{e.lineno}: {e.msg}")
        return 1
    resolver, missing, there = _Resolver(names), [], set()
    for path, uses in modules.uses.items():
        for name, line in uses.names.items():
            known, reason = resolver.look(name)
            if reason is None:
                there.add(known)
            else:
                missing.append((path, line, reason))
    longest = {name for name in there if not any(other.startswith(name + ".") for other in there)}
    for name in sorted(map(shown, longest)):
        print(f"ok: {name}")
    for path, line, reason in dict.fromkeys(missing):
        _line(folder, path, line, reason)
    for path, line, module in modules.absent:
        _line(folder, path, line, f"the module {module} is not installed")
    count = len({reason for _, _, reason in missing}) + len({module for _, _, module in modules.absent})
    print(f"{script}: {len(longest)} names are there, {count} missing" + (f"; {len(modules.uses)} files read"
                                                                          if len(modules.uses) > 1 else ""))
    return 1 if count else 0
