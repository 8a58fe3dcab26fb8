#!/bin/sh
# What the tests of workers on cut networks need: ip, for network namespaces.
set -eu

command -v ip >/dev/null 2>&1 || "$(dirname "$0")/../apt_install.sh" iproute2
