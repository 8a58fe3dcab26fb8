#!/bin/sh
# What can be checked without running the code: the arrows between rooms, public headers, locks, lengths, formatting.
set -eu
cd "$(dirname "$0")/.."
build=build/release
failed=0
complain() { echo "check: $*" >&2; failed=1; }

# base and file never link TensorFlow: `mox file` must start in milliseconds.
for binary in $build/lib/libmoxing_file.so $build/bin/mox; do
  if readelf -d "$binary" | grep -q 'NEEDED.*tensorflow'; then complain "$binary links TensorFlow"; fi
done
if grep -rlE '#include "tensorflow/' src/base src/file src/launch include/moxing/file*.h include/moxing/testing include/moxing/plugin.h include/moxing/error.h include/moxing/flags.h 2>/dev/null; then
  complain "TensorFlow's headers in base or file"
fi

# Rooms include only what lies below them: the arrows of docs/design.md.
rooms="base file launch cluster convolutions tf_files graph layers input passes kernels devices exchange data nets preprocess optim run"
for room in src/*/; do
  room=$(basename "$room")
  case " $rooms " in *" $room "*) ;; *) complain "src/$room has no line in scripts/check.sh" ;; esac
done
below() { # below ROOM "rooms it may include"
  for other in $rooms; do
    case " $2 $1 " in *" $other "*) continue ;; esac
    if grep -rnE "#include \"$other/" "src/$1" 2>/dev/null; then complain "src/$1 includes src/$other"; fi
  done
}
below base ""
below file "base"
below launch "base"
below cluster "base file"
below tf_files "base file"
below graph "base"
below layers "base graph devices"
below input "base graph"
below convolutions ""
below passes "base graph devices input convolutions"
below devices "base"
below exchange "base graph devices"
below nets "base graph layers"
below preprocess "base graph layers nets"
below optim "base graph layers"
below data "base file tf_files graph input preprocess"
below kernels "base file cluster input data convolutions"
below run "base file cluster tf_files graph layers input passes devices exchange data nets preprocess optim"

# Locks are those that clang can check (`make lint`).
if git grep -nE 'std::(mutex|lock_guard|unique_lock|scoped_lock|shared_mutex|condition_variable)' -- src tools python/src ':!src/base/mutex.h'; then
  complain "locks that are no mox::Mutex (src/base/mutex.h)"
fi
# Tables in docs/ that are written from the program's own.
if [ -x $build/bin/mox ]; then python3 docs/options_table.py --check $build/bin/mox || complain "tables in docs/"; fi

# The names of devices are the plan's: a cluster's process has others.
if grep -rnE '/(device|job|gpu|cpu):' src include python/moxing python/src tools --include='*.cc' --include='*.h' --include='*.py' | grep -v '^src/devices/'; then
  complain "a device's name outside src/devices"
fi

# Public headers: nothing private, a comment at what is exported, each compiles alone (ccache has them after the first time).
python3 scripts/check_headers.py $build || failed=1

# Told, not refused: a file of more than 400 lines is usually two.
git ls-files 'src/*.cc' 'src/*.h' 'include/*.h' 'tools/*.cc' 'tools/*.h' 'python/*.cc' 'python/moxing/*.py' | xargs wc -l |
  awk '$2 != "total" && $1 > 400 { print "check: note: " $2 " has " $1 " lines" }'

# moxing.v1 stands on the public API.
if grep -rnE '(from|import) moxing[a-z.]*\._|from moxing[a-z.]* import _' python/moxing/v1; then complain "python/moxing/v1 imports what is private"; fi

# Other versions format other things: only the one that the tree is formatted with (Debian 12's) is asked.
if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
  git ls-files '*.cc' '*.h' | xargs clang-format --dry-run -Werror 2>&1 | grep -m 5 'error:' && complain "run \`make format\`"
fi
exit $failed
