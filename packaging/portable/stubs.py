#!/usr/bin/env python3
"""What the linker reads instead of this machine's C and C++ runtime, so that what it makes also runs on older systems.

    stubs.py OUTPUT COMPILER

For each library of the runtime a stub: a library without code that has the functions and variables of the real one, each in its
newest version that is not above the ceilings. What is linked with `-LOUTPUT` asks for these versions alone. What older C
libraries lack is in compatibility.cc; what older C++ libraries lack comes from the compiler's own libstdc++.a.

The ceilings are those of manylinux_2_27, as TensorFlow's wheel has them: glibc 2.27, GCC 7's libstdc++.
"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
CEILINGS = {"GLIBC": (2, 27), "GLIBCXX": (3, 4, 23), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
# Since glibc 2.34 what these had is in libc.so.6, under a second version for what was linked before. Whoever links the old version needs
# the old library by name, because on older systems only it has the function.
MOVED = {"libdl.so.2": r"dl", "libpthread.so.0": r"(__)?pthread_|sem_|__libc_current_sigrt",
         "librt.so.1": r"timer_|mq_|aio_|lio_listio|shm_", "libutil.so.1": r"openpty$|forkpty$|login$|logout$|logwtmp$"}
# A program's start: older systems want a function that runs its constructors, which compatibility.cc has. It asks for this version by name.
NAMED_ONLY = {"__libc_start_main"}


def run(*args):
    return subprocess.run(list(map(str, args)), check=True, capture_output=True, text=True).stdout


def version_number(version):
    """"GLIBC_2.2.5" -> ("GLIBC", (2, 2, 5)); other names (GLIBC_PRIVATE, CXXABI_TM_1) have no number."""
    name, _, number = version.rpartition("_")
    return name, tuple(map(int, number.split("."))) if re.fullmatch(r"[\d.]+", number) else None


def is_allowed(version):
    name, number = version_number(version)
    return name in CEILINGS and number is not None and number <= CEILINGS[name] or version in ("CXXABI_TM_1", "CXXABI_FLOAT128")


def exported(library):
    """{name: [(version, kind, size)]} of what a shared library has."""
    found = {}
    for line in run("readelf", "--dyn-syms", "--wide", library).splitlines():
        words = line.split()
        if len(words) < 8 or words[6] in ("UND", "ABS", "Ndx") or "@" not in words[7]:
            continue
        name, version = re.split("@+", words[7])[:2]
        found.setdefault(name, []).append((version, words[3], int(words[2], 0)))
    return found


def split_by_library(symbols):
    """What moved into libc.so.6 goes back to where older systems have it."""
    parts = {"libc.so.6": {}, **{name: {} for name in MOVED}}
    for name, versions in symbols.items():
        has_moved = any(version == "GLIBC_2.34" for version, _, _ in versions) and len(versions) > 1
        home = next((library for library, names in MOVED.items() if has_moved and re.match(names, name)), "libc.so.6")
        parts[home][name] = versions
    return parts


def write_stub(folder, soname, symbols, compiler):
    text, nodes = [], {}
    for i, (name, versions) in enumerate(sorted(symbols.items())):
        allowed = [entry for entry in versions if is_allowed(entry[0])]
        if not allowed:
            continue
        version, kind, size = max(allowed, key=lambda entry: version_number(entry[0])[1] or ())
        label = name
        if name in NAMED_ONLY:
            label = f"stub_{i}"
            text.append(f".symver {label}, {name}@{version}")
            nodes.setdefault(version, [])
        else:
            nodes.setdefault(version, []).append(name)
        section, elf = {"TLS": (".section .tbss,\"awT\",@nobits", "tls_object"), "OBJECT": (".bss", "object")}.get(kind, (".text", "function"))
        text += [section, f".globl {label}", f".type {label}, %{elf}", f".size {label}, {max(size, 1)}", f"{label}:",
                 f".skip {max(size, 1)}" if elf != "function" else ".byte 0"]
    source, script = folder / (soname + ".s"), folder / (soname + ".map")
    source.write_text("\n".join([*text, ".section .note.GNU-stack,\"\",%progbits", ""]))
    script.write_text("".join("%s { %s };\n" % (version, f"global: {'; '.join(names)};" if names else "") for version, names in sorted(nodes.items()))
                      + "UNNAMED { local: *; };\n")
    run(compiler, "-shared", "-nostdlib", "-fuse-ld=bfd", f"-Wl,-soname,{soname}", f"-Wl,--version-script,{script}", "-o", folder / soname, source)


def main():
    folder, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)

    def real(name):
        return pathlib.Path(run(compiler, f"-print-file-name={name}").strip()).resolve()

    libraries = split_by_library(exported(real("libc.so.6")))
    for name in ["libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"]:
        libraries[name] = exported(real(name))
    for soname, symbols in libraries.items():
        write_stub(folder, soname, symbols, compiler)

    for name in ["compatibility", "start"]:
        run(compiler, "-O2", "-fPIC", "-std=c++17", "-fno-exceptions", "-Wall", "-c", HERE / (name + ".cc"), "-o", folder / (name + ".o"))
    archive = folder / "libcompatibility.a"
    archive.unlink(missing_ok=True)
    run("ar", "rcs", archive, folder / "compatibility.o", folder / "start.o")

    loader = re.search(r"ld-linux[\w-]*\.so\.\d", run("readelf", "-d", real("libstdc++.so.6")))
    loader = f" {real(loader[0])}" if loader else ""
    moved = " ".join(str(folder / name) for name in MOVED)
    scripts = {
        "libc.so": f"GROUP ( {archive} {folder}/libc.so.6 {real('libc_nonshared.a')} AS_NEEDED ( {moved}{loader} ) )",
        # As Red Hat's toolsets do: what the old library has is taken from it, the rest is linked in.
        "libstdc++.so": f"GROUP ( {folder}/libstdc++.so.6 {archive} {real('libstdc++.a')} )",
        "libm.so": f"GROUP ( {folder}/libm.so.6 )",
        "libgcc_s.so": f"GROUP ( {folder}/libgcc_s.so.1 {real('libgcc.a')} )",
        "libpthread.so": f"GROUP ( {folder}/libpthread.so.0 )",
        "libdl.so": f"GROUP ( {folder}/libdl.so.2 )",
        "librt.so": f"GROUP ( {folder}/librt.so.1 )",
    }
    for name, text in scripts.items():
        (folder / name).write_text(text + "\n")


if __name__ == "__main__":
    main()
