#!/bin/sh
# clang-tidy and ruff, from PyPI: Debian 12's clang-tidy reads all of TensorFlow's headers for each file, 25 s instead of 7.
set -eu
cd "$(dirname "$0")/../.."

tools="clang-tidy==23.1.4 ruff==0.8.4"
stamp=.venv/.mox-lint
if [ "$(cat $stamp 2>/dev/null)" != "$tools" ]; then
  echo "setup: installing into .venv: $tools"
  # shellcheck disable=SC2086  # one word a package
  .venv/bin/pip install -q --disable-pip-version-check $tools
  echo "$tools" > $stamp
fi
