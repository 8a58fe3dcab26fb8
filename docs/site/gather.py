"""Gathers the pages of the site (mkdocs.yml) in a folder: docs/*.md, README and its like, the examples, and the reference, which is made
from the texts of the program, the package and the headers, so that it says what they say.

    docs/site/gather.py PAGES [--mox=build/release/bin/mox] [--package=build/release/python]
"""
import argparse
import importlib.util
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Classes, structs and functions that a header declares at its left margin.
DECLARED = re.compile(r"^(?:class|struct)(?: MOX_EXPORT)? (\w+)[^;{]*\{|^MOX_EXPORT [^;{}()]*?(\w+)\(", re.M)
LANGUAGES = {".py": "python", ".cc": "cpp", ".h": "cpp"}


def gather_documents(pages):
    shutil.rmtree(pages, ignore_errors=True)
    (pages / "reference").mkdir(parents=True)
    for pattern in ("*.md", "*.svg", "*.png"):
        for page in (ROOT / "docs").glob(pattern):
            shutil.copy(page, pages / page.name)
    (pages / "assets").mkdir()
    shutil.copy(ROOT / "docs/site/iframe-worker.js", pages / "assets")
    for source, page in {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}.items():
        text = (ROOT / source).read_text()
        text = re.sub(r"\]\(docs/", "](", text)
        for name, of in {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}.items():
            text = text.replace(f"]({name})", f"]({of})")
        (pages / page).write_text(re.sub(r"\[([^]]*)\]\((LICENSE|SECURITY\.md)\)", r"\1", text))


def show_examples(pages):
    """Every example and the licence, as pages that links of documents lead to."""
    for page in pages.glob("*.md"):
        text = page.read_text()
        for link in set(re.findall(r"\]\((?:\.\./)?(examples/[\w.]+)\)", text)):
            text = re.sub(rf"\]\((?:\.\./)?{re.escape(link)}\)", f"]({link}.md)", text)
        page.write_text(text)
    (pages / "examples").mkdir()
    for example in (ROOT / "examples").iterdir():
        if example.suffix in LANGUAGES:
            code = f"```{LANGUAGES[example.suffix]}\n{example.read_text()}```\n"
            (pages / "examples" / f"{example.name}.md").write_text(f"# {example.name}\n\n{code}")


def help_of(mox, *command):
    done = subprocess.run([mox, *command, "--help"], capture_output=True, text=True, check=True)
    return done.stdout or done.stderr


def subcommands(text):
    found = re.search(r"^Commands:\n((?:  \S.*\n)+)", text, re.M)
    return re.findall(r"^  (\S+)", found[1], re.M) if found else []


def write_commands(page, mox):
    """What `--help` says of each command and of the commands below it."""
    parts = ["# Commands\n\nWhat `mox COMMAND --help` says. [The program](../cli.md) tells what the commands do with your data.\n"]
    for name in subcommands(help_of(mox)):
        text = help_of(mox, name)
        parts.append(f"## mox {name}\n\n```text\n{text}```\n")
        for below in subcommands(text):
            parts.append(f"### mox {name} {below}\n\n```text\n{help_of(mox, name, below)}```\n")
    page.write_text("\n".join(parts))


def load(path):
    """A module of a file that lies in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose(text):
    """A docstring as Markdown: its paragraphs, and a list of what is indented as `name: text`."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        of = paragraph.splitlines()
        if of and all(line.startswith("    ") for line in of):
            items = re.sub(r"\n +(?=\w+: )(?<=\n    )", "\n", "\n" + paragraph)
            lines += [f"- `{name}`: {plain(said)}" for name, said in re.findall(r"\n(\w+): ((?:.+|\n {5,})+)", items)]
        else:
            lines.append(plain(paragraph))
        lines.append("")
    return "\n".join(lines)


def plain(text):
    """Words that nothing of is markup, but what stands in backquotes."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_{}\[\]<>#|~`])", r"\\\1", part) for part in parts)


def described(name, value, stubs):
    """A function or a class with its arguments and its text."""
    lines = [f"### {name}\n"]
    if not inspect.isclass(value):
        return [*lines, f"```python\n{stubs.head_of(name, value)}\n```\n", prose(value.__doc__)]
    members = vars(value)
    init = members.get("__init__")
    if "__signature__" in members:
        lines.append(f"```python\n{stubs.head_of(name, value)}\n```\n")
    elif inspect.isfunction(init):
        lines.append(f"```python\n{stubs.head_of('__init__', stubs.Bound(init)).replace('__init__', name).removesuffix(' -> None')}\n```\n")
    lines.append(prose(inspect.getdoc(value)))
    if inspect.isfunction(init) and init.__doc__ and not hasattr(value, "__dataclass_fields__"):
        lines.append(prose(init.__doc__))
    for method, of in sorted(members.items()):
        if not method.startswith("_") and inspect.isfunction(of) and not hasattr(value, "_fields"):
            lines += [f"```python\n{stubs.head_of(f'{name}.{method}', stubs.Bound(of))}\n```\n", prose(of.__doc__)]
    return lines


def write_python(page, package):
    """Every public function and class: where it was found first, with its arguments and text."""
    sys.path.insert(0, str(package))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stubs = load(ROOT / "scripts/stubs.py")
    seen, parts = set(), ["# Python functions\n\nWhat `help` says. `mox` stands for `moxing.tensorflow`. How they fit together: [Python](../python.md), "
                          "[Files](../files.md).\n"]
    modules = stubs.public_modules()
    for name in sorted(modules, key=lambda name: (not name.startswith("moxing.file"), name.startswith("moxing.convert"), name)):
        new = [(public, value) for public, value in stubs.public_names(modules[name])
               if id(value) not in seen and callable(value) and value.__module__.startswith("moxing")]
        if not new:
            continue
        seen |= {id(value) for _, value in new}
        parts.append(f"## {name}\n\n{prose(modules[name].__doc__)}")
        for public, value in new:
            parts += described(public, value, stubs)
    page.write_text("\n".join(parts))


def write_errors(page):
    """What is thrown, raised and warned of in the sources."""
    page.write_text(load(ROOT / "docs/site/errors.py").page(ROOT))


def write_headers(page):
    """The public headers: their comments are the reference. Before them what they declare, by name."""
    names, parts = set(), []
    for header in sorted((ROOT / "include/moxing").rglob("*")):
        if header.suffix in (".h", ".inc"):
            name, code = str(header.relative_to(ROOT / "include")), header.read_text().strip()
            parts.append(f"## {name}\n\n```cpp\n{code}\n```\n")
            names |= {(declared, name) for declared in DECLARED.findall(re.sub(r"//.*", "", code)) for declared in declared if declared}
    index = [f"| `{declared}` | [{header}](#{re.sub(r'[^a-z0-9_]', '', header)}) |" for declared, header in sorted(names, key=lambda pair: (pair[0].lower(), pair))]
    page.write_text("\n".join(["# C++ headers\n\n`#include \"moxing/moxing.h\"` brings all of them. Comments say meaning, shapes, units, defaults and errors.\n",
                               "| class, struct or function | header |", "|---|---|", *index, "", *parts]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=pathlib.Path)
    parser.add_argument("--mox", default=ROOT / "build/release/bin/mox")
    parser.add_argument("--package", default=ROOT / "build/release/python")
    args = parser.parse_args()
    gather_documents(args.pages)
    show_examples(args.pages)
    write_commands(args.pages / "reference/commands.md", args.mox)
    write_python(args.pages / "reference/python.md", args.package)
    write_headers(args.pages / "reference/cpp.md")
    write_errors(args.pages / "reference/errors.md")


if __name__ == "__main__":
    main()
