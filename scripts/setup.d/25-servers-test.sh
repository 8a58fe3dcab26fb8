#!/bin/sh
# Two real object stores for the tests, built from their Go modules. They take about four minutes each, once a machine:
# they lie in the user's cache, not in the clone.
set -eu

servers="${MOX_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/moxing/servers}"
mkdir -p "$servers"
install_server() {
  [ -x "$servers/$1" ] && return
  command -v go >/dev/null || { echo "setup: the tests need Go (1.24 or newer) to build the object store $1" >&2; exit 1; }
  echo "setup: building $1 for the tests (about 4 minutes, once)"
  CGO_ENABLED=0 GOFLAGS="-buildvcs=false" GOBIN="$servers" go install "$2"
}
install_server versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0
install_server minio github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
