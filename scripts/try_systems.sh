#!/bin/sh
# try_systems.sh [SYSTEM…]: installs what lies in dist/ on other systems, made anew in folders by debootstrap, and uses it there. Nothing but
# the system's minimum is there: no compiler, no -dev package.
#   trixie, bookworm          Debian 13 with Python 3.13, Debian 12 with Python 3.11: the wheel
#   trixie-deb, bullseye-deb  Debian 13 and 11 (glibc 2.31) without Python: mox_*.deb with TensorFlow's libraries alone
#   slim-3.X   Debian 13 with a CPython 3.X in /usr/local and no other, as the images python:3.X-slim: the container recipe's own commands
#   compiler   Debian 13 with GCC and CMake: README's C++ project, of the wheel and of libmoxing-dev_*.deb
#   gpu        the recipe for GPUs, as far as pip's search for what it would install
# MOX_TRY_STEPS: how long LeNet is trained there (600). As root, after `make wheel deb`. Packages come from the machine's own sources of apt and pip, Pythons of slim-3.X from pyenv.
set -eu
cd "$(dirname "$0")/.."
systems=${*:-trixie trixie-deb bookworm bullseye-deb slim-3.10 slim-3.12 slim-3.13 compiler gpu}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/moxing/systems
data=/usr/share/datasets/fashion-mnist
[ "$(id -u)" = 0 ] || { echo "try_systems.sh: only root can make such folders" >&2; exit 1; }
wheel=$(ls dist/moxing-*.whl 2>/dev/null || true)
deb=$(ls dist/mox_*.deb 2>/dev/null || true)
dev=$(ls dist/libmoxing-dev_*.deb 2>/dev/null || true)
needs() { [ -n "$1" ] || { echo "try_systems.sh: dist/ has no $2: run \`make $2\`" >&2; exit 1; }; }
scripts/apt_install.sh debootstrap dataset-fashion-mnist openssl
mkdir -p "$cache"
work=$(mktemp -d)
server=""
clean_up() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

say() { echo "== $*"; }
seconds() { date +%s; }

# A folder with a bare system: apt's minimum and a few packages. Kept packed between calls.
make_system() { # make_system NAME SUITE PACKAGES
  root=$work/$1
  kept=$cache/$2-$(echo "$3" | cksum | cut -d ' ' -f 1).tar
  if [ ! -f "$kept" ]; then
    mirror=$(sed -n 's/^URIs: *\(http[^ ]*\/debian\) *$/\1/p; s/^deb [^h]*\(http[^ ]*\/debian\) .*/\1/p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    debootstrap --variant=minbase --include="$3" "$2" "$work/new" "$mirror" > "$work/log" 2>&1 || { tail "$work/log"; exit 1; }
    tar -C "$work/new" -cf "$kept" --exclude=./var/cache/apt/archives/*.deb --exclude=./dev .
    rm -rf --one-file-system "$work/new"
  fi
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  tar -C "$root" -xf "$kept"
  mkdir -p "$root/dev" "$root/data" "$root/wheels" "$root/store"
  cp "$data"/* "$root/data/"
  cp "$work/ca.pem" "$root/"
}

# A Python in /usr/local, as who builds one lays it: pyenv's, with nothing but its pip.
add_python() { # add_python NAME PYTHON
  from=$(ls -d "$HOME"/.pyenv/versions/"$2".* 2>/dev/null | head -n 1)
  [ -x "$from/bin/python3" ] || { echo "try_systems.sh: pyenv has no Python $2" >&2; exit 1; }
  tar -C "$from" --exclude=test --exclude=__pycache__ --exclude='site-packages/*' --exclude='*.a' --exclude='bin/pip*' -cf - bin lib |
    tar -C "$work/$1/usr/local" -xf -
  inside "$1" 'ldconfig; python3 -m ensurepip > /dev/null 2>&1; ln -s pip3 /usr/local/bin/pip; [ "$(command -v python3)" = /usr/local/bin/python3 ]'
}

# Commands in that system, with nothing of this machine's but the network, /proc and a few devices.
inside() { # inside SUITE COMMANDS
  unshare -m sh -ec '
    mount -t proc proc "$0/proc"
    mount -t tmpfs none "$0/dev"
    for device in null zero random urandom; do touch "$0/dev/$device"; mount --bind "/dev/$device" "$0/dev/$device"; done
    mkdir "$0/dev/shm"; ln -s /proc/self/fd "$0/dev/fd"
    exec chroot "$0" env -i PATH=/venv/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -ec "$1"' "$work/$1" "$2"
}

# An object store that speaks https, with a certificate that nobody knows.
start_store() {
  versitygw=${MOX_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/moxing/servers}/versitygw
  [ -x "$versitygw" ] || { echo "try_systems.sh: run scripts/setup.sh test once: it builds the object store" >&2; exit 1; }
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$work/key.pem" -out "$work/ca.pem" 2> /dev/null
  mkdir -p "$work/store/bucket"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  ROOT_ACCESS_KEY=user ROOT_SECRET_KEY=password "$versitygw" --port "127.0.0.1:$port" --cert "$work/ca.pem" --key "$work/key.pem" posix "$work/store" \
    > "$work/store.log" 2>&1 &
  server=$!
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null && return
    sleep 0.5
  done
  cat "$work/store.log"; exit 1
}

file_layer='
  for tool in cc gcc g++ clang make cmake; do if command -v $tool; then exit 1; fi; done
  export MOX_SERVER=https://127.0.0.1:PORT MOX_AK=user MOX_SK=password MOX_PATH_STYLE=1
  mox file cp /data/train-labels-idx1-ubyte.gz s3://bucket/SYSTEM/labels 2> /tmp/refused && { echo "an unknown certificate was taken"; exit 1; }
  grep -qi certificate /tmp/refused || { cat /tmp/refused; exit 1; }
  export SSL_CERT_FILE=/ca.pem
  mox file cp /data/train-labels-idx1-ubyte.gz s3://bucket/SYSTEM/labels
  mox file cp s3://bucket/SYSTEM/labels /tmp/back
  cmp /tmp/back /data/train-labels-idx1-ubyte.gz
  mox file ls s3://bucket/SYSTEM
  unset SSL_CERT_FILE
  cp /ca.pem /usr/local/share/ca-certificates/test.crt
  update-ca-certificates > /dev/null 2>&1
  mox file du s3://bucket/SYSTEM   # by the system certificates'"'"' own list
'
train='
  mox --version --json
  mox train --model_name=lenet --dataset_name=fashion_mnist --data_url=/data --train_url=/tmp/run --batch_size=50 --max_number_of_steps=STEPS \
    --optimizer=adam --learning_rate_strategy=1:0.001 --log_every_n_steps=200
  mox eval --checkpoint_url=/tmp/run
'
try() { # try SUITE COMMANDS
  inside "$1" "$(printf '%s' "$2" | sed "s/PORT/$port/g; s/SYSTEM/$1/g; s/STEPS/${MOX_TRY_STEPS:-600}/")"
}

# TensorFlow and what it needs, for PYTHON: asked by that Python where it is here, because what is needed depends on who asks.
download() { # download PYTHON
  python=$(ls -d "$HOME"/.pyenv/versions/"$1".*/bin/python 2>/dev/null | head -n 1)
  [ -n "$python" ] || python=$(command -v "python$1" || echo python3)
  "$python" -m pip download -q -d "$cache/$1" --python-version "$1" --only-binary=:all: "tensorflow-cpu==2.21.*"
}

# The commands of a container recipe, with the folder of wheels in place of PyPI.
recipe() { # recipe FILE
  printf 'export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_QUIET=1 PIP_ROOT_USER_ACTION=ignore\n'
  sed -n 's/^RUN //p' "$1"
}

python_run='python -c "
import tensorflow.compat.v1 as tf, moxing.tensorflow as mox
def input_fn(mode):
    return mox.get_dataset(\"fashion_mnist\", \"train\", \"/data\").get([\"image\", \"label\"])
def model_fn(inputs, mode):
    logits = tf.matmul(tf.reshape(tf.cast(inputs[0], tf.float32) / 255, [-1, 784]), tf.get_variable(\"w\", [784, 10]))
    return mox.ModelSpec(loss=tf.losses.sparse_softmax_cross_entropy(inputs[1], logits), log_info=None)
print(mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn(\"sgd\", 0.01), run_mode=mox.ModeKeys.TRAIN, batch_size=50, auto_batch=True, max_number_of_steps=100))
try:
    mox.run(input_fn=lambda mode: 1 / 0, model_fn=model_fn, run_mode=mox.ModeKeys.TRAIN, optimizer_fn=mox.get_optimizer_fn(\"sgd\", 0.01), batch_size=50)
except ZeroDivisionError as e:
    print(\"raised:\", e)
"'
sizes='cd "$(python -c "import sysconfig; print(sysconfig.get_path(\"platlib\"))")" && echo "moxing has $(du -sm moxing | cut -f 1) of $(du -sm . | cut -f 1) MB"'

# The wheel where Python and pip are: first without TensorFlow, then by the recipe with it.
try_wheel() { # try_wheel NAME PYTHON
  needs "$wheel" wheel
  start=$(seconds)
  download "$2"
  say "$1: TensorFlow and what it needs downloaded in $(($(seconds) - start)) s, $(du -sm "$cache/$2" | cut -f 1) MB"
  cp "$wheel" "$cache/$2"/*.whl "$work/$1/wheels/"
  start=$(seconds)
  inside "$1" 'pip install -q --root-user-action=ignore --no-index /wheels/moxing-*.whl'
  say "$1: the wheel alone installed in $(($(seconds) - start)) s"
  inside "$1" "$sizes"
  try "$1" "$file_layer"
  try "$1" 'python -c "import sys, moxing.file; moxing.file.write(\"/tmp/x\", \"text\"); assert moxing.file.read(\"/tmp/x\") == \"text\"; assert \"tensorflow\" not in sys.modules"
    mox nets lenet 2> /tmp/refused && exit 1; cat /tmp/refused; grep -q "pip install tensorflow-cpu==2.21.0" /tmp/refused
    python -c "import moxing.tensorflow" 2> /tmp/refused && exit 1; tail -n 1 /tmp/refused'
  start=$(seconds)
  inside "$1" "$(recipe packaging/Containerfile.cpu)"
  say "$1: with TensorFlow installed in $(($(seconds) - start)) s"
  start=$(seconds)
  try "$1" "$train"
  say "$1: trained and evaluated in $(($(seconds) - start)) s"
  start=$(seconds)
  inside "$1" "$python_run"
  say "$1: trained in Python in $(($(seconds) - start)) s"
  inside "$1" "$sizes"
  # Headers and CMake files are there for who has a compiler.
  inside "$1" 'ls "$(python -m moxing --include-dir)/moxing/moxing.h" "$(python -m moxing --cmake-dir)/moxingConfig.cmake"'
}

try_deb() { # try_deb NAME PYTHON: TensorFlow's libraries are taken from the wheel for PYTHON
  needs "$deb" deb
  download "$2"
  cp "$deb" "$work/$1/"
  inside "$1" 'dpkg -i /mox_*.deb && mox --version'
  try "$1" "$file_layer"
  try "$1" 'mox nets lenet 2> /tmp/refused && exit 1; cat /tmp/refused'
  mkdir -p "$work/$1/tensorflow"
  python3 -m zipfile -e "$cache/$2"/tensorflow_cpu-*.whl "$work/$1/tensorflow"
  say "$1: with TensorFlow's libraries, without Python"
  start=$(seconds)
  try "$1" "export TENSORFLOW_DIR=/tensorflow/tensorflow; $train"
  say "$1: trained and evaluated in $(($(seconds) - start)) s"
}

# README's CMake file, word by word, with its commands and its example.
try_compiler() { # try_compiler NAME PYTHON
  needs "$wheel" wheel
  needs "$deb" deb
  download "$2"
  cp "$wheel" "$cache/$2"/*.whl "$work/$1/wheels/"
  cp "$deb" "$dev" "$work/$1/"
  mkdir "$work/$1/project"
  sed -n '/^```cmake$/,/^```$/p' README.md | sed '/^```/d' > "$work/$1/project/CMakeLists.txt"
  cp examples/mnist_softmax.cc "$work/$1/project/train.cc"
  commands=$(sed -n 's/^    \(cmake -B build .*\)/\1/p' README.md)
  train_cc='build/train --data_url=/data --train_url=run --steps=100'
  inside "$1" "python3 -m venv /venv; $(recipe packaging/Containerfile.cpu)
    c++ --version | head -n 1; cd /project; PREFIX=\$(python -m moxing --cmake-dir); $commands; $train_cc; ldd build/train | grep mox
    rm -r build run; pip uninstall -q -y --root-user-action=ignore moxing; dpkg -i /mox_*.deb /libmoxing-dev_*.deb; PREFIX=/usr; $commands; $train_cc; ldd build/train | grep mox"
}

# What pip would install on a machine with GPUs: some gigabytes that are of no use here.
try_gpu() {
  needs "$wheel" wheel
  python3 -m venv "$work/gpu"
  command=$(sed -n 's/^RUN \(pip install .*\) && rm.*/\1/p' packaging/Containerfile.gpu | sed "s#/wheels#$PWD/dist#")
  sh -ec "$work/gpu/bin/$command -q --dry-run --report $work/gpu/report"
  python3 - "$work/gpu/report" <<'END'
import json, sys
names = {package["metadata"]["name"].lower(): package["metadata"]["version"] for package in json.load(open(sys.argv[1]))["install"]}
cuda = sorted(name for name in names if name.startswith("nvidia-"))
print(f"tensorflow {names['tensorflow']}, {len(cuda)} packages of CUDA: {' '.join(cuda)}")
assert names["tensorflow"].startswith("2.21.") and "nvidia-cudnn-cu12" in names and "moxing" in names, sorted(names)
END
}

start_store
for system in $systems; do
  say "$system"
  case "$system" in
    trixie | bookworm)
      [ "$system" = trixie ] && python=3.13 || python=3.11
      make_system "$system" "$system" python3,python3-venv,ca-certificates
      inside "$system" 'python3 -m venv /venv'
      try_wheel "$system" $python ;;
    trixie-deb | bullseye-deb)
      make_system "$system" "${system%-deb}" ca-certificates
      try_deb "$system" 3.13 ;;
    slim-3.*)
      make_system "$system" trixie ca-certificates,netbase,tzdata,libssl3t64,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,libreadline8t64,libuuid1,zlib1g
      add_python "$system" "${system#slim-}"
      try_wheel "$system" "${system#slim-}" ;;
    compiler)
      make_system compiler trixie python3,python3-venv,ca-certificates,g++,cmake,make
      try_compiler compiler 3.13 ;;
    gpu) try_gpu ;;
    *) echo "try_systems.sh: unknown system '$system', there are trixie, bookworm, trixie-deb, bullseye-deb, slim-3.10 to slim-3.13, compiler, gpu" >&2; exit 2 ;;
  esac
  rm -rf --one-file-system "${work:?}/$system"
done
say "all done"
