#!/usr/bin/env python3
"""Do libraries and programs run on other systems?  check_binaries.py FOLDER

For each ELF file below FOLDER: it needs no library but the C and C++ runtime, TensorFlow's and its own; no newer version of a function than
TensorFlow's own wheel (manylinux_2_27) does; looks for libraries beside itself only; exports nothing of what others wrote; and is
stripped. Writes a line a file, and ends with 1 where something does not fit.
"""
import pathlib
import re
import subprocess
import sys

CEILINGS = {"GLIBC": (2, 27), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
RUNTIME = re.compile(r"(libc|libm)\.so\.6|libpthread\.so\.0|libdl\.so\.2|librt\.so\.1|libutil\.so\.1|ld-linux[\w-]*\.so\.\d|libstdc\+\+\.so\.6|"
                     r"libgcc_s\.so\.1|libtensorflow_(cc|framework)\.so\.2|libmoxing(_file)?\.so\.0")
OF_OTHERS = re.compile(r"curl_|Curl_|SSL_|EVP_|CRYPTO_|OPENSSL_|jpeg_|jsimd_|inflate|deflate|crc32|XML_|_ZN4pugi|_ZN6spdlog|_ZNSt10filesystem|"
                       r"_ZN3fmt2v\d+(6detail10vformat_to|7vformat|6vprint)")
FILE_LAYER = re.compile(r"bin/mox|libmoxing_file\.so\.\d|(_file|_backend)\.[\w.-]*so")  # what the file layer alone loads
FILE_LAYER_LIMIT = 12_000_000


def readelf(*args):
    return subprocess.run(["readelf", "--wide", *map(str, args)], check=True, capture_output=True, text=True).stdout


def is_elf(path):
    with open(path, "rb") as f:
        return f.read(4) == b"\x7fELF"


def number(version):
    return tuple(map(int, version.split(".")))


def faults(path):
    dynamic, symbols = readelf("-d", path), readelf("--dyn-syms", path)
    for library in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
        if not RUNTIME.fullmatch(library):
            yield f"needs {library}"
    for folder in ":".join(re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic)).split(":"):
        if folder and not folder.startswith("$ORIGIN"):
            yield f"looks for libraries in {folder}"
    for line in symbols.splitlines():
        words = line.split()
        if len(words) < 8:
            continue
        name, _, version = words[7].partition("@")
        if words[6] == "UND":
            family, _, digits = version.lstrip("@").rpartition("_")
            if re.fullmatch(r"[\d.]+", digits) and family in CEILINGS and number(digits) > CEILINGS[family]:
                yield f"needs {name}, {version}"
            if not version and words[4] == "GLOBAL" and not re.match(r"_?Py|_Z|TF_", name):  # Python's, ours, TensorFlow's
                yield f"needs {name}, which no library of the runtime has"
        elif words[4] == "GLOBAL" and OF_OTHERS.match(name):  # weak: what headers made
            yield f"exports {name}"
    if ".symtab" in readelf("-S", path):
        yield "is not stripped"


def newest(path):
    found = {}
    for family, digits in re.findall(r"Name: ([A-Z]+)_([\d.]+)\b", readelf("-V", path)):
        found[family] = max(found.get(family, (0,)), number(digits))
    return " ".join(f"{family}_{'.'.join(map(str, found[family]))}" for family in sorted(found) if family in CEILINGS)


def main():
    folder = pathlib.Path(sys.argv[1])
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and is_elf(path))
    failed = not files
    for path in files:
        problems = sorted(set(faults(path)))
        print(f"{path.stat().st_size:>10}  {path.relative_to(folder)}  {newest(path)}")
        for problem in problems[:20]:
            print(f"            {problem}")
        failed = failed or bool(problems)
    # One Python loads one _backend.
    layer, backends = 0, [0]
    for path in files:
        if FILE_LAYER.fullmatch(str(path.relative_to(folder))) or FILE_LAYER.fullmatch(path.name) or path.match("bin/mox"):
            if path.name.startswith("_backend"):
                backends.append(path.stat().st_size)
            else:
                layer += path.stat().st_size
    layer += max(backends)
    print(f"{layer:>10}  of these are the file layer's")
    if layer > FILE_LAYER_LIMIT:
        print(f"            more than {FILE_LAYER_LIMIT}")
    sys.exit(1 if failed or layer > FILE_LAYER_LIMIT else 0)


if __name__ == "__main__":
    main()
