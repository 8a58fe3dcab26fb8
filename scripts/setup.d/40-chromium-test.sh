#!/bin/sh
# Headless Chromium: the test of `mox report` looks at its page. Where it cannot be had, that check is skipped.
set -eu

if ! command -v chromium >/dev/null; then
  apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core >/dev/null ||
    echo "setup: chromium cannot be installed; the check of mox report in a browser is skipped" >&2
fi
