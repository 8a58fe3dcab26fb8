#!/bin/sh
# Photographs for the tests and benchmarks of the data sets.
set -eu

"$(dirname "$0")/../apt_install.sh" opencv-doc
