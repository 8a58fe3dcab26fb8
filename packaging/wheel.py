#!/usr/bin/env python3
"""Makes a wheel of a portable build tree.  wheel.py BUILD DIST

One wheel for all Pythons from 3.10 on: what depends on the Python is compiled for each of them (moxing/_backend.*.so). It has the package,
the program, the libraries, the C++ headers and the CMake files; what pyproject.toml says of the package is said here, too.
"""
import base64
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
TAG = f"cp310-abi3-manylinux_2_27_{platform.machine()}"
# Whose code lies in the libraries: Debian's packages, each with its licence.
PARTS = ["libcurl4-openssl-dev", "libssl-dev", "libpugixml-dev", "libfmt-dev", "libspdlog-dev", "nlohmann-json3-dev", "libcli11-dev",
         "zlib1g-dev", "libjpeg62-turbo-dev", "libstdc++-*-dev"]


def run(*args):
    subprocess.run(list(map(str, args)), check=True, stdout=subprocess.DEVNULL)


def stage(build, folder):
    """What pip lays into site-packages."""
    package = folder / "moxing"
    run("cmake", "--install", build, "--prefix", package, "--strip")
    run("cmake", "--install", build, "--prefix", folder, "--component", "python", "--strip")
    shutil.rmtree(package / "share", ignore_errors=True)  # its licence goes where pip looks for it
    for link in [path for path in package.rglob("*") if path.is_symlink()]:
        link.unlink()
    for source in (ROOT / "python/moxing").rglob("*"):
        if source.is_file() and "__pycache__" not in source.parts:
            target = package / source.relative_to(ROOT / "python/moxing")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def pythons(folder):
    found = sorted({int(version) for path in (folder / "moxing").glob("_backend.cpython-3*") for version in re.findall(r"cpython-3(\d+)", path.name)})
    if not found:
        sys.exit("wheel.py: the build tree has no moxing._backend: was it configured with MOX_PORTABLE and MOX_PYTHONS?")
    return found


def metadata(project, version, minors, licenses):
    lines = ["Metadata-Version: 2.4", f"Name: {project['name']}", f"Version: {version}", f"Summary: {project['description']}",
             f"License-Expression: {project['license']}", f"Requires-Python: >=3.{minors[0]},<3.{minors[-1] + 1}",
             *(f"Classifier: Programming Language :: Python :: 3.{minor}" for minor in minors),
             "Classifier: Programming Language :: C++", "Classifier: Operating System :: POSIX :: Linux",
             *(f"License-File: {path.name}" for path in sorted(licenses.iterdir())), "Description-Content-Type: text/markdown"]
    lines += [f"Requires-Dist: {need}" for need in project.get("dependencies", [])]
    for extra, needs in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for name, _, marker in (need.partition(" ; ") for need in needs):
            lines.append(f"Requires-Dist: {name} ; {marker and marker + ' and '}extra == '{extra}'")
    return "\n".join(lines) + "\n\n" + (ROOT / project["readme"]).read_text()


def write_licenses(build, folder):
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", folder)
    for part in PARTS:
        texts = sorted(pathlib.Path("/usr/share/doc").glob(f"{part}/copyright"))
        if not texts:
            print(f"wheel.py: {part} has no licence in /usr/share/doc: the wheel is not for others to have", file=sys.stderr)
        for text in texts:
            shutil.copy(text, folder / f"{text.parent.name}.txt")
    nanobind = pathlib.Path(re.search(r"^NB_DIR:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M)[1])
    shutil.copy(next(nanobind.parent.glob("nanobind-*.dist-info/licenses/LICENSE")), folder / "nanobind.txt")
    header = (nanobind / "ext/robin_map/include/tsl/robin_map.h").read_text()
    (folder / "robin_map.txt").write_text(header[:header.index("*/") + 3])


def write_info(build, folder, project, version, minors):
    info = folder / f"moxing-{version}.dist-info"
    write_licenses(build, info / "licenses")
    (info / "METADATA").write_text(metadata(project, version, minors, info / "licenses"))
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: moxing\nRoot-Is-Purelib: false\nTag: {TAG}\n")
    (info / "entry_points.txt").write_text("[console_scripts]\n" + "".join(f"{k} = {v}\n" for k, v in project["scripts"].items()))
    return info


def write_wheel(folder, info, path):
    when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "1600000000")))[:6]
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        def add(name, content, mode):
            entry = zipfile.ZipInfo(name, when)
            entry.external_attr, entry.compress_type = (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)

        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            name, content = file.relative_to(folder).as_posix(), file.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}\n")
            add(name, content, 0o755 if os.access(file, os.X_OK) and (content[:4] == b"\x7fELF") else 0o644)
        name = f"{info.name}/RECORD"
        add(name, "".join(record) + f"{name},,\n", 0o644)


def main():
    build, dist = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = re.search(r'MOXING_VERSION "(.*?)"', (ROOT / "include/moxing/version.h").read_text())[1]
    folder = build / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    stage(build, folder)
    info = write_info(build, folder, project, version, pythons(folder))
    subprocess.run([sys.executable, ROOT / "packaging/check_binaries.py", folder], check=True)
    dist.mkdir(parents=True, exist_ok=True)
    path = dist / f"moxing-{version}-{TAG}.whl"
    path.unlink(missing_ok=True)
    write_wheel(folder, info, path)
    print(f"{path.stat().st_size:>10}  {path}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as e:
        sys.exit(e.returncode)
