"""What CMake and the setup say on a machine that lacks things."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_all_that_is_missing_is_told_at_once(tmp_path):
    hidden = "/usr/include;/usr/lib;/lib;/usr/lib/x86_64-linux-gnu;/lib/x86_64-linux-gnu"
    done = subprocess.run(["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_IGNORE_PATH={hidden}", "-DMOX_PYTHON=/no/python"],
                          capture_output=True, text=True)
    assert done.returncode == 1
    [line] = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("sudo apt-get install")]
    packages = line.split()
    for package in ["libfmt-dev", "libspdlog-dev", "nlohmann-json3-dev", "libcli11-dev", "libpugixml-dev", "zlib1g-dev", "libjpeg-dev",
                    "libssl-dev", "libcurl4-openssl-dev", "libnghttp2-dev", "libpsl-dev", "libgtest-dev"]:
        assert package in packages
    assert "TensorFlow 2.21: it was looked for in /no/python" in done.stderr and "-DTENSORFLOW_DIR=" in done.stderr
    assert done.stderr.count("CMake Error") == 1


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, to become somebody else")
@pytest.mark.skipif(not os.stat(os.devnull).st_mode & 0o002, reason="on this machine only root may write to /dev/null")
def test_who_is_not_root_and_has_no_sudo_is_told_what_to_run():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name in ["sh", "id", "dpkg", "dpkg-query", "env", "find", "head"]:  # no sudo
            os.symlink(shutil.which(name), f"{folder}/{name}")
        script = shutil.copy(ROOT / "scripts/apt_install.sh", folder)
        done = subprocess.run([shutil.which("setpriv"), "--reuid=65534", "--clear-groups", shutil.which("sh"), script, "dpkg", "libnone-dev"],
                              capture_output=True, text=True, env={"PATH": folder})
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-1] == "  apt-get update && apt-get install --no-install-recommends libnone-dev"


def test_tensorflow_of_the_active_python(tmp_path):
    """An active virtual environment comes before the project's."""
    fake = tmp_path / "site" / "tensorflow"
    (fake / "include/tensorflow/core/public").mkdir(parents=True)
    (fake / "include/tensorflow/core/public/session.h").touch()
    (fake / "__init__.py").touch()
    (tmp_path / "site/tensorflow_cpu-2.19.1.dist-info").mkdir()
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text(f"#!/bin/sh\nPYTHONPATH={tmp_path}/site exec {sys.executable} \"$@\"\n")
    python.chmod(0o755)
    (tmp_path / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.24)\nproject(x NONE)\nlist(APPEND CMAKE_MODULE_PATH {ROOT}/cmake)\n"
                                             "find_package(TensorFlowWheel REQUIRED)\n")
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"], capture_output=True, text=True,
                          env={**os.environ, "VIRTUAL_ENV": str(tmp_path)})
    assert done.returncode == 1
    text = " ".join(done.stderr.split())
    assert f"{fake} is TensorFlow 2.19.1, MoXing needs 2.21." in text and f"looked in {python}" in text


@pytest.mark.parametrize("processor, said", [
    ("aarch64", ["--platform=manylinux_2_27_aarch64 tensorflow==2.21.0", "zlib1g-dev:arm64"]),
    ("riscv64", ["PyPI has TensorFlow 2.21 for x86_64 and aarch64, not for riscv64"]),
])
def test_another_machine_is_told_what_it_has_and_what_it_lacks(tmp_path, processor, said):
    """Nothing of this machine's is taken for another one's, neither libraries nor the TensorFlow of the active Python."""
    script = tmp_path / "CMakeLists.txt"
    script.write_text(f"cmake_minimum_required(VERSION 3.24)\nproject(x NONE)\nlist(APPEND CMAKE_MODULE_PATH {ROOT}/cmake)\n"
                      f"set(CMAKE_FIND_ROOT_PATH {tmp_path})\nset(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)\ninclude({ROOT}/cmake/requirements.cmake)\n")
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build", "-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={processor}"],
                          capture_output=True, text=True)
    assert done.returncode == 1
    text = " ".join(done.stderr.split())
    assert "TensorFlow 2.21: it was looked for in TENSORFLOW_DIR alone, which is not given" in text
    assert [words for words in said if words not in text] == []
