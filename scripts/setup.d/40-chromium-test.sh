#!/bin/sh
# Headless Chromium: the test of `mox report` looks at its page. Where it cannot be had, that check is skipped.
set -eu

if ! command -v chromium >/dev/null; then
  "$(dirname "$0")/../apt_install.sh" chromium fonts-dejavu-core >/dev/null ||
    echo "setup: chromium cannot be installed; the check of mox report in a browser is skipped" >&2
fi
