#!/bin/sh
# What the tests of Python need: pandas, mypy for the stubs, and CPython's own tests for the .venv's Python.
set -eu
cd "$(dirname "$0")/../.."

version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! .venv/bin/python -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("test.test_os"))' 2>/dev/null; then
  # Only Debian's own Python has this package; another one brings its tests along, or they are skipped by name.
  scripts/apt_install.sh "libpython$version-testsuite" ||
    echo "setup: no libpython$version-testsuite: CPython's own tests will be skipped" >&2
fi
.venv/bin/python -c "import mypy, pandas" 2>/dev/null || .venv/bin/pip install -q --disable-pip-version-check mypy pandas
