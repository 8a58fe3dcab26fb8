#!/bin/sh
# Installs what building, testing and the demo need: Debian packages and a .venv with TensorFlow. Run it as often as you
# like: it is done in a second when nothing is missing. What only tests or `make lint` need is in setup.d/*-test.sh and *-lint.sh, which
# `setup.sh test` and `setup.sh lint` run.
set -eu
cd "$(dirname "$0")/.."

packages="g++ cmake ninja-build ccache make git python3 python3-venv python3-dev nlohmann-json3-dev libcli11-dev libfmt-dev
libspdlog-dev libpugixml-dev zlib1g-dev libjpeg62-turbo-dev libgtest-dev libbenchmark-dev dataset-fashion-mnist ca-certificates"
# Curl and OpenSSL, whose archives go into the file layer, and what the distribution's curl links to.
packages="$packages libcurl4-openssl-dev libssl-dev libnghttp2-dev librtmp-dev libssh2-1-dev libpsl-dev libidn2-dev libkrb5-dev libldap-dev
libzstd-dev libbrotli-dev"
# shellcheck disable=SC2086  # one word a package
scripts/apt_install.sh $packages

tensorflow=tensorflow-cpu
[ "$(uname -m)" != aarch64 ] || tensorflow=tensorflow  # there it is the one without CUDA
python_packages="$tensorflow==2.21.0 nanobind scikit-build-core pytest tensorboard"
stamp=.venv/.mox-setup
if [ ! -x .venv/bin/python ] || [ "$(cat $stamp 2>/dev/null)" != "$python_packages" ]; then
  echo "setup: installing into .venv: $python_packages"
  [ -x .venv/bin/python ] || /usr/bin/python3 -m venv .venv
  # shellcheck disable=SC2086
  .venv/bin/pip install -q --disable-pip-version-check $python_packages
  echo "$python_packages" > $stamp
fi

# One that fails keeps no other from saying what it lacks.
failed=0
for part in scripts/setup.d/*-"${1:-none}".sh; do
  if [ -f "$part" ]; then sh "$part" || failed=1; fi
done
exit $failed
