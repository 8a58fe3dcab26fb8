"""A script's source as code of this Python: its imports go through names.py; what it says and where stays as it is."""
import ast
import io
import re
import tokenize
import warnings

HELPER = "__moxing_v1__"  # in every module of the script: names.Names

# Written for Python 2: a line that this Python cannot read is read by the fixers of lib2to3, which keep line numbers.
_FIXERS = ("apply", "except", "exec", "has_key", "ne", "numliterals", "paren", "print", "raise", "repr", "tuple_params")
_DICT_METHODS = {"iteritems": "items", "iterkeys": "keys", "itervalues": "values", "has_key": None}


def _from_python_2(text):
    """None when the fixers are not there (Python 3.13) or do not understand it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from lib2to3.pgen2.parse import ParseError
            from lib2to3.pgen2.tokenize import TokenError
            from lib2to3.refactor import RefactoringTool
        except ImportError:
            return None
        try:
            tool = RefactoringTool([f"lib2to3.fixes.fix_{name}" for name in _FIXERS])
            return str(tool.refactor_string(text if text.endswith("\n") else text + "\n", "script"))
        except (ParseError, TokenError):
            return None


def _spaces_only(text):
    """Python 2 took a tab in front of a line for the spaces up to the next eighth column."""
    return re.sub(r"^[ \t]+", lambda match: match.group().expandtabs(8), text, flags=re.MULTILINE)


def parse(data, path):
    """The syntax tree of a script's bytes. SyntaxError as Python raises it, with a word about Python 2 where that helps."""
    try:
        return ast.parse(data, path)
    except SyntaxError as error:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            text = _spaces_only(data.decode(encoding).replace("\r\n", "\n"))
        except (SyntaxError, UnicodeDecodeError):
            raise error from None
        for candidate in (text, _from_python_2(text)):
            try:
                if candidate is not None:
                    return ast.parse(candidate, path)
            except SyntaxError:
                pass
        if "print" in (error.msg or "") or "except" in (error.msg or ""):
            error.msg += " (Python 2? lib2to3, which reads it, is not part of this Python: run 2to3 -w on the script once)"
        raise error from None


class _Imports(ast.NodeTransformer):
    """Imports of modules that `names` provides become assignments at the same place."""

    def __init__(self, provides):
        self._provides = provides

    def _call(self, method, *values):
        function = ast.Attribute(ast.Name(HELPER, ast.Load()), method, ast.Load())
        return ast.Call(function, [ast.Constant(value) for value in values], [])

    def _assign(self, node, name, value):
        return ast.fix_missing_locations(ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], value), node))

    def visit_Import(self, node):
        statements = []
        for alias in node.names:
            if not self._provides(alias.name):
                statements.append(ast.copy_location(ast.Import([alias]), node))
                continue
            name = alias.asname or alias.name.partition(".")[0]
            statements.append(self._assign(node, name, self._call("load", alias.name, bool(alias.asname))))
        return statements

    def visit_ImportFrom(self, node):
        if node.level or not self._provides(node.module):
            return node
        if node.names[0].name == "*":
            update = ast.Attribute(ast.Call(ast.Name("globals", ast.Load()), [], []), "update", ast.Load())
            call = ast.Expr(ast.Call(update, [self._call("everything", node.module)], []))
            return ast.fix_missing_locations(ast.copy_location(call, node))
        return [self._assign(node, alias.asname or alias.name, self._call("part", node.module, alias.name))
                for alias in node.names]

    def visit_Call(self, node):
        """d.iteritems() and the like, which dictionaries no longer have."""
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _DICT_METHODS:
            replaced = self._call("dict_method", function.attr)
            replaced.args.insert(0, function.value)
            node.func = ast.fix_missing_locations(ast.copy_location(replaced, function))
        return node


def dict_method(owner, name):
    """owner.name where there is one; else what Python 3 has in its place."""
    if hasattr(owner, name):
        return getattr(owner, name)
    if name == "has_key":
        return owner.__contains__
    return lambda: iter(getattr(owner, _DICT_METHODS[name])())


def compiled(data, path, provides):
    tree = parse(data, path)
    return compile(_Imports(provides).visit(tree), path, "exec", dont_inherit=True)
