"""The checks themselves: what they must find, they find."""

import importlib.util
import subprocess

import pytest
from program import ROOT

CLANG_TIDY = ROOT / ".venv/bin/clang-tidy"


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_public_headers_without_comments_or_with_private_parts_are_told(tmp_path):
    header = tmp_path / "new.h"
    header.write_text('#include "moxing/export.h"\n#include "run/engine.h"\n\n'
                      "MOX_EXPORT int bare(int x);\n// Said.\nMOX_EXPORT int told(int x);\nMOX_EXPORT int told(double x);\n"
                      "\nclass MOX_EXPORT Thing {};\n#define MACRO \\\n  MOX_EXPORT int made() \\\n  {}\n")
    checks = script("check_headers")
    assert checks.private_includes(header) == ["includes run/engine.h, which users do not have"]
    assert [complaint.split()[1] for complaint in checks.without_comment(header)] == ["`bare`", "`Thing`"]


def test_lint_reads_gccs_commands():
    flags = script("lint").clang_flags("/usr/bin/c++ -DX=1 -I/a -fpch-preprocess -Winvalid-pch -Wall -Wno-sign-compare -o b.o -c b.cc")
    assert flags == ["-Wthread-safety", "-DX=1", "-I/a", "-Wno-sign-compare"]


@pytest.mark.skipif(not CLANG_TIDY.exists(), reason="`make lint` installs clang-tidy")
@pytest.mark.parametrize("body, expected", [("return count_;", "requires holding mutex 'mu_'"), ("MutexLock lock(mu_); return count_;", None)])
def test_what_a_mutex_guards_is_checked(tmp_path, body, expected):
    source = tmp_path / "guarded.cc"
    source.write_text('#include "base/mutex.h"\nclass Counter {\n public:\n  int get() {\n    using mox::MutexLock;\n'
                      f"    {body}\n  }}\n\n private:\n  mox::Mutex mu_;\n  int count_ MOX_GUARDED_BY(mu_) = 0;\n}};\nint f(Counter& c) {{ return c.get(); }}\n")
    done = subprocess.run([CLANG_TIDY, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", "--warnings-as-errors=*", source, "--", "-std=c++20",
                           f"-I{ROOT / 'src'}", "-Wthread-safety"], capture_output=True, text=True)
    assert done.returncode == (1 if expected else 0), done.stdout + done.stderr
    assert expected is None or expected in done.stdout
