#!/bin/sh
# What the file layer needs: static curl and OpenSSL with what curl's archive links to, and pugixml.
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
