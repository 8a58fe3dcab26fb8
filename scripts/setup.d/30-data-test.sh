#!/bin/sh
# Photographs for the tests and benchmarks of the data sets.
set -eu

if ! dpkg -s opencv-doc >/dev/null 2>&1; then
  apt-get install -y -q --no-install-recommends opencv-doc
fi
