#!/bin/sh
# Fuzzes what parses foreign bytes: list XML, paths and patterns, JPEG, TF_CONFIG, .npy headers, labels.txt, TFRecord files,
# `checkpoint` files.
# Usage: tests/fuzz/run.sh [SECONDS a target, default 300] [TARGET…]
# Needs clang with libFuzzer (Debian: clang-14, libclang-rt-14-dev). New inputs stay in build/fuzz/corpus-*.
set -eu
cd "$(dirname "$0")/../.."
seconds="${1:-300}"
[ $# -gt 0 ] && shift
compiler=$(command -v clang++ || command -v clang++-14) || { echo "fuzz: needs clang++" >&2; exit 1; }
mkdir -p build/fuzz
tensorflow=$(echo "$PWD"/.venv/lib/python3*/site-packages/tensorflow)
for target in ${*:-xml path jpeg cluster npy labels records checkpoint}; do
  case $target in
    jpeg) # with TensorFlow's headers: absl
      sources="src/data/decode_jpeg.cc -isystem $tensorflow/include -ljpeg"
      longest=100000 seeds="tests/data/images/*.jpg tests/fuzz/seeds/jpeg/*" ;;
    npy)
      sources="tools/mox/engine/npy_header.cc src/base/error.cc src/base/printable.cc -Itools/mox -lfmt"
      longest=4096 seeds=tests/fuzz/seeds/npy/* ;;
    labels) # with TensorFlow's headers: the names of files
      sources="src/data/labels_file.cc src/data/names.cc src/base/error.cc src/base/printable.cc -isystem $tensorflow/include -lfmt"
      longest=4096 seeds=tests/fuzz/seeds/labels/* ;;
    records) # with TensorFlow's libraries: its tf.Example
      sources="src/data/record_file.cc src/data/image_example.cc src/base/crc32c.cc src/base/error.cc src/base/printable.cc
        -isystem $tensorflow/include -L$tensorflow -Wl,-rpath,$tensorflow -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2"
      longest=65536 seeds=tests/fuzz/seeds/records/* ;;
    xml | path)
      sources="src/file/s3_xml.cc src/file/path.cc src/file/glob_match.cc src/file/errors.cc src/base/error.cc src/base/printable.cc src/base/registry.cc -lpugixml -lfmt"
      longest=4096 seeds=tests/fuzz/seeds/$target/* ;;
    cluster)
      sources="src/base/tf_config.cc src/base/host.cc src/base/json_text.cc src/base/printable.cc src/base/error.cc -lfmt"
      longest=4096 seeds=tests/fuzz/seeds/cluster/* ;;
    checkpoint)
      sources="src/run/checkpoint_text.cc src/base/error.cc src/base/printable.cc"
      longest=4096 seeds=tests/fuzz/seeds/checkpoint/* ;;
    *)
      echo "fuzz: no target '$target'; there are xml, path, jpeg, cluster, npy, labels, records and checkpoint" >&2
      exit 2 ;;
  esac
  "$compiler" -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Iinclude -Isrc \
    "tests/fuzz/${target}_fuzz.cc" $sources -o "build/fuzz/$target"
  corpus="build/fuzz/corpus-$target"
  mkdir -p "$corpus"
  cp $seeds "$corpus/"
  echo "fuzz: $target for $seconds s"
  (cd build/fuzz && "./$target" -max_total_time="$seconds" -max_len=$longest -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 "corpus-$target" >"$target.log" 2>&1) || { tail -40 "build/fuzz/$target.log"; exit 1; }
  grep -E "number_of_executed_units|peak_rss" "build/fuzz/$target.log"
done
