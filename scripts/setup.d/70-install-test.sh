#!/bin/sh
# What the test of the installed tree needs: pkg-config.
set -eu

command -v pkg-config >/dev/null 2>&1 || "$(dirname "$0")/../apt_install.sh" pkg-config
