#!/bin/sh
# apt_install.sh PACKAGE…: installs those of Debian's packages that are missing, as root, by sudo, or by saying what to run.
set -eu

missing=""
for package in "$@"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
  as_root="sudo"
  if ! command -v sudo >/dev/null; then
    echo "setup: packages are missing, and this is neither root nor a user with sudo. Have run:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
fi
echo "setup: installing$missing"
# An old list of packages names versions that are gone; it is updated when something cannot be had.
install() {
  # shellcheck disable=SC2086  # one word a package
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}
if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)" ]; then $as_root apt-get update -q; fi
install || { $as_root apt-get update -q && install; }
