#!/bin/sh
# make asan, make tsan: builds the tests that run under AddressSanitizer (with UndefinedBehaviorSanitizer) or ThreadSanitizer
# and runs them. What TensorFlow's libraries, built without, would tell wrongly is in scripts/sanitize.supp/, with the reason.
# asan builds what reads data, without the rooms that run graphs (CMakePresets.json). For a test of theirs:
# cmake build/asan -DMOX_BUILD_RUNS=ON && ninja -C build/asan run_test
# tsan: base, cluster, file and launch alone. TensorFlow's threads hand over what they share by locks that the sanitizer does not see.
# Usage: scripts/sanitize.sh asan|tsan
set -eu
cd "$(dirname "$0")/.."
preset="$1"
tests="base_test cluster_test launch_test file_local_test file_parts_test file_conformance_test file_copy_test file_fault_test
file_stream_test file_safety_test file_sync_test"
[ "$preset" = asan ] && tests="$tests data_test input_test"

[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset"
# shellcheck disable=SC2086  # one word a target
ninja -C "build/$preset" -j "${JOBS:-2}" $tests

suppressions="$PWD/scripts/sanitize.supp"
# report_thread_leaks: processes of tests leave by _exit. odr: TensorFlow's libraries bring Abseil's and protobuf's globals twice. die_after_fork: the tests start their servers.
# allow_user_poisoning: Abseil's and protobuf's headers mark free memory of tables and arenas, which TensorFlow's libraries then use.
export ASAN_OPTIONS="detect_odr_violation=0:allow_user_poisoning=0:detect_stack_use_after_return=1:strict_string_checks=1"
export LSAN_OPTIONS="suppressions=$suppressions/lsan.txt:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1"
export TSAN_OPTIONS="suppressions=$suppressions/tsan.txt:second_deadlock_stack=1:die_after_fork=0:report_thread_leaks=0"
expression=$(echo $tests | sed 's/ /|/g')
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -R "^($expression)\$"
