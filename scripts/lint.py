#!/usr/bin/env python3
"""make lint: what clang-tidy and ruff find in the tree.

  scripts/lint.py [--base COMMIT] [--all] [FILE…]

clang-tidy (.clang-tidy: its checks, and clang's analysis of what locks guard) on the C++ files that differ from COMMIT
(default: where the branch left its upstream), on FILE…, or with --all on every one below src/, tools/, python/ and
examples/; ruff (pyproject.toml) on all Python. A file with TensorFlow's headers takes 7 s, one without 1 s.
Reads build/release/compile_commands.json: configure first.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATABASE = ROOT / "build/release/compile_commands.json"
OUT = ROOT / "build/lint"
JOBS = int(os.environ.get("JOBS", "2"))
GCC_ALONE = re.compile(r"-fpch-preprocess|-Winvalid-pch|-fno-trapping-math|-W(?!no-).*")


def clang_flags(command: str) -> list[str]:
    """Clang's flags for one of GCC's calls. Precompiled headers are read as text: they are GCC's."""
    words = iter(shlex.split(command)[1:])
    flags = ["-Wthread-safety"]
    for word in words:
        if word in ("-o", "-c"):
            next(words)
        elif word == "-include":  # CMake's cmake_pch.hxx
            for header in re.findall(r'#include ["<](.*)[">]', pathlib.Path(next(words)).read_text()):
                flags += ["-include", header]
        elif not GCC_ALONE.fullmatch(word):
            flags.append(word)
    return flags


def compiled_files() -> dict[str, list[str]]:
    """Each source file and its flags; the parts of unity builds are files of their own."""
    found = {}
    for entry in json.loads(DATABASE.read_text()):
        files = [entry["file"]]
        if "/Unity/" in entry["file"]:
            files = re.findall(r'#include "(/.*)"', pathlib.Path(entry["file"]).read_text())
        for file in files:
            path = pathlib.Path(file)
            if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "build"):
                found.setdefault(str(path.relative_to(ROOT)), clang_flags(entry["command"]))
    return found


def git(*words: str) -> list[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.split()


def changed_since(base: str | None) -> list[str]:
    base = base or "".join(git("merge-base", "HEAD", "@{upstream}")) or "HEAD"
    return git("diff", "--name-only", base) + git("ls-files", "--others", "--exclude-standard")


def with_users(files: list[str], compiled: dict[str, list[str]]) -> list[str]:
    """A header is seen through a source file: its own, else the first that includes it."""
    wanted = []
    for file in files:
        if file.endswith(".h"):
            name = re.sub(r"^(src|include|tools/mox|python/src|tests)/", "", file)
            users = git("grep", "-l", f'#include "{name}"', "--", "*.cc")
            own = file.removesuffix(".h") + ".cc"
            file = own if own in compiled else next((user for user in users if user in compiled), "")
        if file in compiled and file not in wanted:
            wanted.append(file)
    return wanted


def tidy(files: list[str], compiled: dict[str, list[str]]) -> bool:
    OUT.mkdir(parents=True, exist_ok=True)
    entries = [{"directory": str(OUT), "file": str(ROOT / file), "arguments": ["clang++", *compiled[file], str(ROOT / file)]}
               for file in files]
    (OUT / "compile_commands.json").write_text(json.dumps(entries, indent=1))
    print(f"lint: clang-tidy on {len(files)} files", flush=True)

    def run(file: str) -> subprocess.CompletedProcess:
        command = [ROOT / ".venv/bin/clang-tidy", "--quiet", "--warnings-as-errors=*", f"-p={OUT}", ROOT / file]
        return subprocess.run(command, capture_output=True, text=True)

    good = True
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for result in pool.map(run, files):
            if result.returncode != 0:
                good = False
                print(result.stdout or result.stderr, flush=True)
    return good


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--base")
    arguments.add_argument("--all", action="store_true")
    arguments.add_argument("files", nargs="*")
    args = arguments.parse_args()
    if not DATABASE.exists():
        sys.exit(f"lint: no {DATABASE.relative_to(ROOT)}: `make build` (or cmake --preset release) writes it")
    compiled = compiled_files()
    everything = [file for file in compiled if file.startswith(("src/", "tools/", "python/", "examples/"))]
    files = everything if args.all else with_users(args.files or changed_since(args.base), compiled)
    good = tidy(files, compiled)
    python = subprocess.run([ROOT / ".venv/bin/ruff", "check", "--quiet", "."], cwd=ROOT)
    return 0 if good and python.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
