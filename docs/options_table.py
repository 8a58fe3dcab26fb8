"""Writes the tables of flags and options in docs/ from `mox flags --json`: after one was added or changed.

    docs/options_table.py [--check] [MOX]        --check: writes nothing; exit code 1 where a page tells something else
"""
import json
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- table {}: docs/options_table.py -->", "<!-- end of table -->"
# What has a column of its own in docs/data.md; the others are told by their group.
LETTERS = {"built-in, raw": "N, R", "built-in": "N", "all": "NRTB", "raw, TFRecord": "RTB", "TFRecord": "TB",
           "raw, TFRecord of images": "RT", "TFRecord of images": "T", "raw": "R", "multi-label": "multi-label"}


def _text(value):
    return "" if value is None else str(value).lower() if isinstance(value, bool) else json.dumps(value)[1:-1] \
        if isinstance(value, str) else str(value)


def _row(*cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _flags(flags):
    yield from (_row("flag", "default", "values", "meaning"), "|---|---|---|---|")
    for f in flags:
        note = "" if f["offered"] else "; this version takes the default only"
        yield _row(f"`{f['name']}`", _text(f["default"]), f["values"], f["help"] + note)


def _run_options(options):
    yield from (_row("option", "default", "values", "meaning", "taken by"), "|---|---|---|---|---|")
    for o in options:
        where = ["C++"] + ["Python" if w == "python" else f"mox {w}" for w in o["where"]]
        yield _row(f"`{o['name']}`", _text(o["default"]), o["values"], o["help"], ", ".join(where))


def _data_options(options):
    yield from (_row("option", "default", "values", "meaning", ""), "|---|---|---|---|---|")
    for o in options:
        yield _row(f"`{o['name']}`", _text(o["default"]), o["values"], o["help"], LETTERS[o["group"]])


TABLES = [("options.md", "flags", "process", _flags), ("options.md", "run options", "run", _run_options),
          ("data.md", "data set options", "data", _data_options)]


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    root = pathlib.Path(__file__).resolve().parent.parent
    mox = arguments[0] if arguments else str(root / "build/release/bin/mox")
    everything = json.loads(subprocess.run([mox, "flags", "--json"], check=True, capture_output=True, text=True).stdout)
    failed = False
    for name, title, of, make in TABLES:
        page = root / "docs" / name
        text = page.read_text()
        before, rest = text.split(BEGIN.format(title))
        after = rest.split(END, 1)[1]
        lines = "\n".join(make([option for option in everything if option["of"] == of]))
        new = before + BEGIN.format(title) + "\n" + lines + "\n" + END + after
        if new == text:
            continue
        if "--check" in sys.argv:
            print(f"docs/{name}: the table of {title} is not what `mox flags` tells; run docs/options_table.py", file=sys.stderr)
            failed = True
        else:
            page.write_text(new)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
