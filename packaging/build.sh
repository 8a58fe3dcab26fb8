#!/bin/sh
# build.sh: the portable build tree (build/portable, or MOX_PORTABLE_TREE), of which wheel.py and deb.sh take what they need.
set -eu
cd "$(dirname "$0")/.."
tree=${MOX_PORTABLE_TREE:-build/portable}

# Pythons that the wheel is for: those that are here with their headers. MOX_PYTHONS names others ("/path/python3.10;…").
pythons=${MOX_PYTHONS:-}
if [ -z "$pythons" ]; then
  for minor in 10 11 12 13; do
    for python in "$HOME"/.pyenv/versions/3.$minor.*/bin/python "$(command -v python3.$minor || true)"; do
      if [ -x "$python" ] && "$python" -c 'import os, sys, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h"); sys.exit(sys.version_info[1] != int(sys.argv[1]))' $minor 2>/dev/null; then
        pythons="$pythons${pythons:+;}$python"
        continue 2
      fi
    done
    echo "build.sh: no Python 3.$minor with headers is here: the wheel will not be for it" >&2
  done
fi
[ -n "$pythons" ] || { echo "build.sh: no Python from 3.10 to 3.13 with its headers (python3-dev)" >&2; exit 1; }

python3 packaging/portable/stubs.py $tree/portable "${CXX:-c++}"
packaging/curl.sh $tree/curl "$PWD/$tree/portable"
cmake -G Ninja -S . -B $tree -DCMAKE_BUILD_TYPE=Release -DMOX_PORTABLE=ON -DMOX_CURL_DIR="$PWD/$tree/curl" -DMOX_BUILD_PYTHON=ON \
  -DMOX_PYTHONS="$pythons" -DMOX_BUILD_TESTS=OFF -DMOX_BUILD_EXAMPLES=OFF ${CMAKE_FLAGS:-} > $tree/configure.log || { tail -n 30 $tree/configure.log; exit 1; }
ninja -C $tree -j "${JOBS:-2}" moxing moxing_file mox mox_commands mox_extensions
