#!/bin/sh
# What the file layer needs: static curl and OpenSSL with what curl's archive links to, pugixml, and two real object
# stores for the tests. Fast when nothing is missing.
set -eu

packages="libcurl4-openssl-dev libssl-dev libpugixml-dev libnghttp2-dev librtmp-dev libssh2-1-dev libpsl-dev libidn2-dev
libkrb5-dev libldap-dev libzstd-dev libbrotli-dev zlib1g-dev"
missing=""
for package in $packages; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086  # one word a package
  apt-get install -y --no-install-recommends $missing
fi

# The servers take about four minutes each to build, once.
servers="${MOX_SERVERS:-$(cd "$(dirname "$0")/../.." && pwd)/.servers}"
mkdir -p "$servers"
install_server() {
  [ -x "$servers/$1" ] || CGO_ENABLED=0 GOFLAGS="-p=1 -buildvcs=false" GOBIN="$servers" go install "$2"
}
install_server versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0
install_server minio github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
