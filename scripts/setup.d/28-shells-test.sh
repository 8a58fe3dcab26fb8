#!/bin/sh
# The shells whose completion is tested.
set -eu

"$(dirname "$0")/../apt_install.sh" zsh fish
