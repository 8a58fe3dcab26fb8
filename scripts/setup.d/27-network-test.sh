#!/bin/sh
# What the tests of workers on cut networks need: ip, for network namespaces.
set -eu
command -v ip >/dev/null 2>&1 && exit 0
run_as_root=""
[ "$(id -u)" = 0 ] || run_as_root="sudo"
DEBIAN_FRONTEND=noninteractive $run_as_root apt-get install -y -q --no-install-recommends iproute2
