#!/usr/bin/env python3
"""Public headers: nothing private in them, a comment at whatever is exported, each compiles alone.

  scripts/check_headers.py [BUILD]     (default build/release; its flags are taken, and ccache where there is one)
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
FOREIGN = ("tensorflow/", "absl/")


def private_includes(header: pathlib.Path) -> list[str]:
    found = re.findall(r'^#include "(.*)"', header.read_text(), re.M)
    return [f"includes {name}, which users do not have" for name in found if not name.startswith(("moxing/", *FOREIGN))]


def without_comment(header: pathlib.Path) -> list[str]:
    """Exported functions and classes with no comment above or behind; an overload shares the one before it."""
    complaints, before, last = [], "", ""
    for number, line in enumerate(header.read_text().splitlines(), 1):
        text = line.strip()
        if (declared := re.search(r"\bMOX_EXPORT\b(.*)", text)) and not text.startswith(("#", "//", "friend ")) and not text.endswith("\\"):
            name = (re.search(r"(operator\W+|\w+)\(", declared[1]) or re.search(r"(\w+)", declared[1]))[1]
            if not (before.startswith(("//", "template")) or "//" in text or name == last):
                complaints.append(f"{number}: `{name}` has no comment: meaning, shapes, units, errors")
            last = name
        before = text
    return complaints


def compiles_alone(header: pathlib.Path, flags: list[str], out: pathlib.Path) -> list[str]:
    name = header.relative_to(INCLUDE)
    source = out / (str(name.with_suffix(".cc")).replace("/", "-"))
    if not source.exists():
        source.write_text(f'#include "{name}"\n')
    command = [*([shutil.which("ccache")] if shutil.which("ccache") else []), *flags, "-O0", "-c", str(source), "-o", str(source.with_suffix(".o"))]
    result = subprocess.run(command, cwd=out, capture_output=True, text=True, env={**os.environ, "CCACHE_NOHASHDIR": "1"})
    return [] if result.returncode == 0 else [f"does not compile alone:\n{result.stderr}"]


def compiler_flags(build: pathlib.Path) -> list[str]:
    """Those of a test, which sees what users see: the public headers and TensorFlow's."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"].endswith("src/run/run.cc"):
            words = shlex.split(entry["command"])
            compiler = next(word for word in words if re.search(r"(\+\+|cc|clang)[-\d.]*$", word) and "ccache" not in word)
            system = [word for pair in zip(words, words[1:]) if pair[0] == "-isystem" for word in pair]
            kept = [word for word in words if word.startswith(("-D", "-std="))]
            return [compiler, *kept, *system, f"-I{INCLUDE}", "-Wall", "-Wextra"]
    sys.exit(f"check: {build}/compile_commands.json has no src/run/run.cc")


def main() -> int:
    build = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "build/release")
    out = build / "headers"
    out.mkdir(exist_ok=True)
    flags = compiler_flags(build)
    headers = sorted(INCLUDE.rglob("*.h"))
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        compiled = list(pool.map(lambda header: compiles_alone(header, flags, out), headers))
    failed = False
    for header, complaints in zip(headers, compiled):
        for complaint in private_includes(header) + without_comment(header) + complaints:
            failed = True
            print(f"check: {header.relative_to(ROOT)}: {complaint}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
