"""`python -m moxing`: the program mox; `--cmake-dir` and `--include-dir` tell where the files for C++ are."""
import pathlib
import sys

from moxing import _program

_PLACES = {"--cmake-dir": "lib/cmake/moxing", "--include-dir": "include"}


def main():
    place = _PLACES.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if place is None:
        return _program.main()
    folder = pathlib.Path(__file__).parent / place
    if not folder.is_dir():
        sys.exit(f"moxing: {folder} is missing: only a wheel of `make wheel` has the files for C++; `cmake --install` lays them elsewhere")
    print(folder)


if __name__ == "__main__":
    main()
