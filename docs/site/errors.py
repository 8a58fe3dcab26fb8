"""The page of errors: every text that is thrown, raised or warned of in the sources, by kind and by room; … stands for what differs."""
import ast
import collections
import re

# Kind: what it is in Python and the program's exit code, what it means, what to do.
KINDS = {
    "InvalidArgumentError": ("In Python also a `ValueError`; exit code 2.", "What was given does not fit: a flag, an argument, a name, a shape, or what a function returned. Nothing was started, "
                             "and nothing was changed.", "Correct what the text names; it says what was got and what is expected."),
    "NotFoundError": ("In Python also a `FileNotFoundError`; exit code 1.", "A file, a checkpoint or a data set that must be there is not.", "Look at the path in the text: a relative one is relative to "
                      "the folder that the program was started in, and on a cluster each worker must see it."),
    "DataError": ("Exit code 1.", "Data that was read is broken: cut off, another format, a wrong checksum, a label out of range.",
                  "Look at the file and the place that the text names. `max_broken_samples` leaves some out."),
    "UnsupportedError": ("In Python also a `NotImplementedError`.", "This version cannot do what was asked for. Nothing was started.", "The text says what is offered instead."),
    "RunError": ("In Python also a `RuntimeError`; exit code 1.", "The run failed after it had started: an operation, a loss that is not finite, a worker that was lost.",
                 "The checkpoint that was saved last stays; the same command goes on from there."),
    "ConnectionError": ("In Python `RunError`; exit code 1.", "Another process of the training cannot be reached, or says something that does not fit.",
                        "Look at that process's own output first: what ended it is told there."),
    "MoxFileNotExistsException": ("In Python also a `FileNotFoundError`; exit code 1.", "The path does not exist.", "Look at the path; `mox file ls` shows what there is."),
    "MoxFileRespException": ("In Python also an `OSError`, with `resp`; exit code 1.", "An object store refused (`status` and `code` say how), or could not be reached (`status` 0).",
                             "403: the keys or their rights; 404: the bucket's name; 0: server, port, network (environment.md)."),
    "MoxFileReadException": ("In Python also an `OSError`, with `resp`; exit code 1.", "What came from a store is not what it has: cut off, stalled, a wrong checksum. It was tried again before.",
                             "Try again; where it comes back, the object in the store is damaged, or what lies between changes it."),
    "MoxFileNameDuplicateException": ("Exit code 1.", "A store has an object and a folder of one name, which no disk can hold.", "Copy one of the two."),
    "OsError": ("In Python also an `OSError`, with `errno`; exit code 1.", "The operating system refused.", "The text says what it said: rights, a full disk, a name that is taken."),
    "CopyError": ("In Python with `summary`; exit code 1.", "Some files of a copy failed; the others are in place.", "The same command goes on with those that are missing."),
    "Warning": ("A line of the log; the run goes on.", "Something will not be as it may have been meant.", "The text says what it is, and how to have it otherwise."),
}
SAME = {"ArgumentTypeError": "InvalidArgumentError", "ValueError": "InvalidArgumentError", "TypeError": "InvalidArgumentError", "log_warning": "Warning",
        "usage_error": "InvalidArgumentError", "UsageError": "InvalidArgumentError"}
ROOMS = {
    "base": "Flags, options and plugins", "file": "Files and object stores", "launch": "mox launch", "cluster": "Several workers", "tf_files": "Files under TensorFlow",
    "graph": "Graphs and variables", "layers": "Layers", "input": "Input pipelines", "passes": "Changes of the graph", "devices": "Devices", "kernels": "Operations",
    "exchange": "Gradients of several devices", "data": "Data sets", "nets": "Networks", "preprocess": "Preprocessing and augmentation",
    "optim": "Optimizers and learning rates", "run": "Trainings, evaluations, predictions, exports", "tools": "The program", "python": "Python",
    "convert": "mox convert", "v1": "mox script",
}
OPEN, CLOSE = "([{", ")]}"
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def skip_literal(code, at):
    """The place after the literal that begins at `at`."""
    if code[at] == '"':
        return LITERAL.match(code, at).end()
    end = code.index("'", at + 2 if code[at + 1] == "\\" else at + 1)
    return end + 1


def arguments(code, at):
    """The arguments, as code, of the call whose bracket opens at `at`."""
    found, depth, begin = [], 0, at + 1
    while at < len(code):
        c = code[at]
        if c in "\"'":
            at = skip_literal(code, at)
            continue
        depth += (c in OPEN) - (c in CLOSE)
        if depth == 0 or (depth == 1 and c == ","):
            found.append(code[begin:at].strip())
            begin = at + 1
            if depth == 0:
                return found
        at += 1
    return []


def unescaped(text):
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)


def shown(code):
    """The text that an expression makes, with … for what is not written there; "" when nothing is."""
    formatted = re.match(r"(?:fmt::|std::)?format\(", code)
    if formatted:
        first = arguments(code, formatted.end() - 1)[0]
        text = "".join(unescaped(part) for part in LITERAL.findall(first))
        return re.sub(r"\{[^{}]*\}", "…", text).replace("{{", "{").replace("}}", "}")
    parts, at = [], 0
    while at < len(code):
        if code[at] == '"':
            parts.append(unescaped(LITERAL.match(code, at)[1]))
            at = LITERAL.match(code, at).end()
        elif re.match(r"(?:fmt::|std::)?format\(", code[at:]):
            parts.append(shown(code[at:]))
            at = end_of_call(code, code.index("(", at))
        elif code[at] in OPEN:
            parts.append("…")
            at = end_of_call(code, at)
        else:
            if not code[at].isspace() and code[at] != "+":
                parts.append("…")
            at = at + 1 if code[at] != "'" else skip_literal(code, at)
    text = re.sub(r"…(\s*…)*", "…", "".join(parts))
    return text if re.search(r"[a-z]{2}", text) else ""


def end_of_call(code, at):
    depth = 0
    while at < len(code):
        if code[at] in "\"'":
            at = skip_literal(code, at)
            continue
        depth += (code[at] in OPEN) - (code[at] in CLOSE)
        at += 1
        if depth == 0:
            return at
    return at


def of_cpp(path):
    """[(kind, text)] of a source file; a text is "" where it is made elsewhere."""
    code = re.sub(r"(?m)^\s*//.*$|(?<=[;{}\s])// .*$", "", path.read_text())
    for found in re.finditer(r"\b(?:throw (?:\w+::)*(\w+)|(log_warning))\(", code):
        kind = found[1] or found[2]
        kind = SAME.get(kind, kind)
        if kind in KINDS:
            texts = [shown(argument) for argument in arguments(code, found.end() - 1)]
            yield kind, next((text for text in texts if text), "")


def of_python(path):
    def text_of(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(value.value if isinstance(value, ast.Constant) else "…" for value in node.values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return text_of(node.left) + text_of(node.right)
        return "…"

    for node in ast.walk(ast.parse(path.read_text())):
        call = node.exc if isinstance(node, ast.Raise) else node if isinstance(node, ast.Call) else None
        name = getattr(getattr(call, "func", None), "attr", getattr(getattr(call, "func", None), "id", None)) if isinstance(call, ast.Call) else None
        kind = SAME.get(name, name)
        if kind in KINDS and call.args and (isinstance(node, ast.Raise) or kind == "Warning"):
            yield kind, text_of(call.args[0])


def gather(root):
    """{kind: {room: [texts]}} of all sources, and how many places have a text that is made elsewhere."""
    found, elsewhere = collections.defaultdict(lambda: collections.defaultdict(set)), 0
    for path in sorted([*(root / "src").rglob("*.cc"), *(root / "src").rglob("*.h"), *(root / "tools/mox").rglob("*.cc"),
                        *(root / "python/moxing").rglob("*.py")]):
        parts = path.relative_to(root).parts
        room = "tools" if parts[0] == "tools" else parts[1] if parts[0] == "src" else parts[2] if parts[2] in ("convert", "v1", "file") else "python"
        for kind, text in (of_cpp if path.suffix != ".py" else of_python)(path):
            text = re.sub(r"…(\s*…)+", "…", " ".join(text.split()))
            if re.search(r"[a-z]{2,}.* [a-z]{2,}", text):
                found[kind][room].add(text)
            else:
                elsewhere += 1
    return found, elsewhere


def page(root):
    """The page, in Markdown."""
    found, _ = gather(root)
    lines = ["# Errors\n", "What MoXing says when something is wrong, by kind. Search for the words of a message that are not yours: `…` stands for names, paths and numbers. "
             "A message says what happened, what was got, what is expected and what to do. What your own functions raise comes out as it is. The program begins each with its "
             "command (`mox train: …`) and ends with the exit code of the kind.\n",
             "Arguments and options out of their range are told as *name is value, expected …* and are not listed one by one: [flags and options](../options.md) "
             "has their ranges.\n"]
    for kind, (place, meaning, advice) in KINDS.items():
        rooms = found.get(kind)
        if not rooms:
            continue
        lines.append(f"## {kind}\n")
        lines.append(f"{place} {meaning} *What to do:* {advice}\n")
        for room in sorted(rooms, key=list(ROOMS).index):
            lines.append(f"### {ROOMS[room]}\n")
            lines += [f"- {escaped(text)}" for text in sorted(rooms[room], key=str.lower)]
            lines.append("")
    return "\n".join(lines)


def escaped(text):
    """As Markdown shows it: nothing of it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text)

