#!/bin/sh
# Fuzzes what parses foreign text: list XML, paths, patterns. Usage: tests/fuzz/run.sh [SECONDS a target, default 300]
# Needs clang with libFuzzer (Debian: clang-14, libclang-rt-14-dev). New inputs stay in build/fuzz/corpus-*.
set -eu
cd "$(dirname "$0")/../.."
seconds="${1:-300}"
compiler=$(command -v clang++ || command -v clang++-14) || { echo "fuzz: needs clang++" >&2; exit 1; }
mkdir -p build/fuzz
for target in xml path; do
  "$compiler" -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Iinclude -Isrc \
    "tests/fuzz/${target}_fuzz.cc" src/file/s3_xml.cc src/file/path.cc src/file/glob_match.cc src/file/errors.cc \
    src/base/error.cc -lpugixml -lfmt -o "build/fuzz/$target"
  corpus="build/fuzz/corpus-$target"
  mkdir -p "$corpus"
  cp "tests/fuzz/seeds/$target"/* "$corpus/"
  echo "fuzz: $target for $seconds s"
  (cd build/fuzz && "./$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    "corpus-$target" >"$target.log" 2>&1) || { tail -40 "build/fuzz/$target.log"; exit 1; }
  grep -E "number_of_executed_units|peak_rss" "build/fuzz/$target.log"
done
