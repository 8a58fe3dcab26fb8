"""What makes the binaries for other systems (packaging/), on small libraries; scripts/try_systems.sh tries the real ones."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import packaging.requirements
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*args, code=0):
    done = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stubs")
    run(sys.executable, ROOT / "packaging/portable/stubs.py", folder, "c++")
    return folder


# std::from_chars of floats, stat and filesystem are younger than glibc 2.27 and GCC 7.
YOUNG = """
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string>
#include <sys/stat.h>
int main(int, char** argv) {
  struct stat st;
  double value = 0;
  const std::string text = "2.5";
  std::from_chars(text.data(), text.data() + text.size(), value);
  std::printf("%g %d %d\\n", value, stat(argv[0], &st), std::filesystem::exists(argv[0]));
}
"""


def test_a_program_that_is_linked_to_the_stubs_is_for_older_systems(stubs, tmp_path):
    (tmp_path / "young.cc").write_text(YOUNG)
    for name, flags in {"here": [], "portable": [f"-L{stubs}", "-Wl,--exclude-libs,ALL", "-Wl,--as-needed"]}.items():
        (tmp_path / name).mkdir()
        run("c++", "-std=c++20", "-O2", "-s", tmp_path / "young.cc", *flags, "-o", tmp_path / name / "young")
        assert run(tmp_path / name / "young") == "2.5 0 1\n"
    report = run(ROOT / "packaging/check_binaries.py", tmp_path / "here", code=1)
    assert "needs _ZSt10from_chars" in report and "GLIBCXX_3.4.29" in report
    assert "needs " not in run(ROOT / "packaging/check_binaries.py", tmp_path / "portable")


@pytest.mark.parametrize("source, flags, fault", [
    ("#include <zlib.h>\nint f() { return crc32(0, nullptr, 0); }", ["-s", "-lz"], "needs libz.so.1"),
    ("extern \"C\" void EVP_other() {}", ["-s"], "exports EVP_other"),
    ("extern \"C\" void gone();\nvoid f() { gone(); }", ["-s"], "needs gone, which no library of the runtime has"),
    ("void f() {}", ["-s", "-Wl,-rpath,/opt/mine"], "looks for libraries in /opt/mine"),
    ("void f() {}", [], "is not stripped"),
    ("char large[13000000] = {1};", ["-s"], "more than 12000000"),
])
def test_what_would_not_run_elsewhere_is_found(stubs, tmp_path, source, flags, fault):
    (tmp_path / "lib.cc").write_text(source)
    library = tmp_path / "lib/libmoxing_file.so.0"
    library.parent.mkdir()
    run("c++", "-shared", "-fPIC", "-fuse-ld=bfd", f"-L{stubs}", tmp_path / "lib.cc", *flags, "-o", library)
    assert fault in run(ROOT / "packaging/check_binaries.py", library.parent, code=1)


def test_an_empty_folder_is_no_success(tmp_path):
    run(ROOT / "packaging/check_binaries.py", tmp_path, code=1)


def test_what_the_wheel_asks_pip_for(tmp_path):
    spec = importlib.util.spec_from_file_location("wheel_of_moxing", ROOT / "packaging/wheel.py")
    wheel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wheel)
    (tmp_path / "LICENSE").touch()
    project = wheel.tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = wheel.metadata(project, "1.2.3", [10, 13], tmp_path)
    needs = [packaging.requirements.Requirement(need) for need in re.findall(r"^Requires-Dist: (.*)$", text, re.M)]

    def of(extra, machine):
        return {str(need.name) for need in needs if need.marker.evaluate({"extra": extra, "platform_machine": machine})}

    assert of("", "x86_64") == set()  # the file layer alone
    assert of("cpu", "x86_64") == {"tensorflow-cpu"} and of("cpu", "aarch64") == {"tensorflow"} == of("gpu", "x86_64")
    assert "Requires-Python: >=3.10,<3.14\n" in text and "License-File: LICENSE\n" in text


@pytest.fixture
def pip_build():
    sys.path.insert(0, str(ROOT / "packaging/pip"))
    try:
        yield importlib.import_module("moxing_build")
    finally:
        sys.path.remove(str(ROOT / "packaging/pip"))


def test_pip_builds_with_the_tensorflow_that_is_there(pip_build, monkeypatch):
    """Only who has none waits for another one to be laid into pip's own environment."""
    here = pip_build.with_tensorflow({"cmake.define.X": "1"})
    assert here["cmake.define.X"] == "1" and pathlib.Path(here["cmake.define.TENSORFLOW_DIR"], "include").is_dir()
    assert pip_build.needs(None) == [] and pip_build.with_tensorflow({"cmake.define.TENSORFLOW_DIR": "/mine"}) == {"cmake.define.TENSORFLOW_DIR": "/mine"}
    monkeypatch.setattr(sys, "executable", "/bin/false")
    [need] = map(packaging.requirements.Requirement, pip_build.needs(None))
    assert need.name.startswith("tensorflow") and str(need.specifier) == "==2.21.0"
    assert need.name == ("tensorflow" if pip_build.platform.machine() == "aarch64" else "tensorflow-cpu")
    assert pip_build.needs({"cmake.define.TENSORFLOW_DIR": "/mine"}) == [] and pip_build.with_tensorflow(None) == {}
    assert need.specifier.contains(pip_build.RELEASE + ".0")


def test_nobody_is_told_to_install_by_name():
    """PyPI's project moxing is somebody else's."""
    files = subprocess.run(["git", "ls-files", "README.md", "docs", "packaging", "python", "src", "tools", "scripts", "examples"], cwd=ROOT, text=True,
                           capture_output=True, check=True).stdout.split("\n")
    told = [f"{name}: {line.strip()}" for name in files if name.endswith((".md", ".py", ".cc", ".h", ".sh", ".cpu", ".gpu"))
            for line in (ROOT / name).read_text().splitlines() if re.search(r"pip install [^`;|#]*(?<![\w/.-])moxing(?![\w/-]|-\*)", line)]
    assert told == []
