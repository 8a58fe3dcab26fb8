#!/bin/sh
# What the file layer needs: static curl and OpenSSL with what curl's archive links to, and pugixml.
set -eu

"$(dirname "$0")/../apt_install.sh" libcurl4-openssl-dev libssl-dev libpugixml-dev libnghttp2-dev librtmp-dev libssh2-1-dev libpsl-dev \
  libidn2-dev libkrb5-dev libldap-dev libzstd-dev libbrotli-dev zlib1g-dev
