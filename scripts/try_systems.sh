#!/bin/sh
# try_systems.sh [SYSTEM…]: installs what lies in dist/ on other systems, made anew in folders by debootstrap, and uses it there: no compiler,
# no -dev package. Systems: trixie (Debian 13, Python 3.13), bookworm (Debian 12, Python 3.11), bullseye (Debian 11, glibc 2.31, no Python
# that TensorFlow has a wheel for: the program of mox_*.deb with TensorFlow's libraries alone).
# As root, after `make wheel deb`. Packages come from the machine's own sources of apt and pip.
set -eu
cd "$(dirname "$0")/.."
systems=${*:-trixie bookworm bullseye}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/moxing/systems
data=/usr/share/datasets/fashion-mnist
[ "$(id -u)" = 0 ] || { echo "try_systems.sh: only root can make such folders" >&2; exit 1; }
wheel=$(ls dist/moxing-*.whl 2>/dev/null || true)
deb=$(ls dist/mox_*.deb 2>/dev/null || true)
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

say() { echo "== $*"; }
seconds() { date +%s; }

# A folder with a bare system: apt's minimum, Python with pip, certificates. Kept packed between calls.
make_system() { # make_system SUITE PACKAGES
  root=$work/$1
  if [ ! -f "$cache/$1.tar" ]; then
    mirror=$(sed -n 's/^URIs: *\(http[^ ]*\/debian\) *$/\1/p; s/^deb [^h]*\(http[^ ]*\/debian\) .*/\1/p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    debootstrap --variant=minbase --include="$2" "$1" "$work/new" "$mirror" > "$work/log" 2>&1 || { tail "$work/log"; exit 1; }
    tar -C "$work/new" -cf "$cache/$1.tar" --exclude=./var/cache/apt/archives/*.deb --exclude=./dev .
    rm -rf --one-file-system "$work/new"
  fi
  mkdir -p "$root"
  tar -C "$root" -xf "$cache/$1.tar"
  mkdir -p "$root/dev" "$root/data" "$root/wheels" "$root/store"
  cp "$data"/* "$root/data/"
}

# Commands in that system, with nothing of this machine's but the network, /proc and a few devices.
inside() { # inside SUITE COMMANDS
  unshare -m sh -ec '
    mount -t proc proc "$0/proc"
    mount -t tmpfs none "$0/dev"
    for device in null zero random urandom; do touch "$0/dev/$device"; mount --bind "/dev/$device" "$0/dev/$device"; done
    mkdir "$0/dev/shm"; ln -s /proc/self/fd "$0/dev/fd"
    exec chroot "$0" env -i PATH=/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -ec "$1"' "$work/$1" "$2"
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
  for tool in cc gcc g++ clang make cmake; do ! command -v $tool; done
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
  mox train --model_name=lenet --dataset_name=fashion_mnist --data_url=/data --train_url=/tmp/run --batch_size=50 --max_number_of_steps=600 \
    --optimizer=adam --learning_rate_strategy=1:0.001 --log_every_n_steps=200
  mox eval --checkpoint_url=/tmp/run
'
try() { # try SUITE COMMANDS
  inside "$1" "$(printf '%s' "$2" | sed "s/PORT/$port/g; s/SYSTEM/$1/g")"
}

# TensorFlow and what it needs, for PYTHON: asked by that Python where it is here, because what is needed depends on who asks.
download() { # download PYTHON
  python=$(ls -d "$HOME"/.pyenv/versions/"$1".*/bin/python 2>/dev/null | head -n 1)
  [ -n "$python" ] || python=$(command -v "python$1" || echo python3)
  "$python" -m pip download -q -d "$cache/$1" --python-version "$1" --only-binary=:all: "tensorflow-cpu==2.21.*"
}

try_wheel() { # try_wheel SUITE PYTHON
  needs "$wheel" wheel
  rm -rf "$work/$1"
  make_system "$1" python3,python3-venv,ca-certificates
  cp "$work/ca.pem" "$work/$1/"
  cp "$wheel" "$work/$1/wheels/"
  start=$(seconds)
  download "$2"
  say "$1: TensorFlow and what it needs downloaded in $(($(seconds) - start)) s"
  cp "$cache/$2"/*.whl "$work/$1/wheels/"
  start=$(seconds)
  inside "$1" 'python3 -m venv /venv && pip install -q --no-index --find-links /wheels moxing && du -sm /venv/lib/python3*/site-packages/moxing'
  say "$1: the wheel alone installed in $(($(seconds) - start)) s"
  try "$1" "$file_layer"
  try "$1" 'python -c "import sys, moxing.file; moxing.file.write(\"/tmp/x\", \"text\"); assert moxing.file.read(\"/tmp/x\") == \"text\"; assert \"tensorflow\" not in sys.modules"
    mox nets lenet 2> /tmp/refused && exit 1; cat /tmp/refused; grep -q "pip install .moxing\[cpu\]" /tmp/refused
    python -c "import moxing.tensorflow" 2> /tmp/refused && exit 1; tail -n 1 /tmp/refused'
  start=$(seconds)
  # The container recipe's own command, with the folder of wheels in place of PyPI.
  command=$(sed -n 's/^RUN \(pip install .*\) && rm.*/\1/p' packaging/Containerfile.cpu)
  inside "$1" "$command -q --no-index"
  say "$1: with TensorFlow installed in $(($(seconds) - start)) s"
  start=$(seconds)
  try "$1" "$train"
  say "$1: trained and evaluated in $(($(seconds) - start)) s"
  try "$1" 'python -c "
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
  # Headers and CMake files are there for who has a compiler.
  inside "$1" 'ls /venv/lib/python3*/site-packages/moxing/include/moxing/moxing.h "$(python -m moxing --cmake-dir)/moxingConfig.cmake"'
}

try_deb() { # try_deb SUITE PYTHON: TensorFlow's libraries are taken from the wheel for PYTHON
  needs "$deb" deb
  rm -rf "$work/$1"
  download "$2"
  make_system "$1" ca-certificates
  cp "$work/ca.pem" "$deb" "$work/$1/"
  inside "$1" 'dpkg -i /mox_*.deb && mox --version'
  try "$1" "$file_layer"
  try "$1" 'mox nets lenet 2> /tmp/refused && exit 1; cat /tmp/refused'
  mkdir -p "$work/$1/tensorflow"
  python3 -m zipfile -e "$cache/$2"/tensorflow_cpu-*.whl "$work/$1/tensorflow"
  say "$1: with TensorFlow's libraries, without Python"
  try "$1" "export TENSORFLOW_DIR=/tensorflow/tensorflow; $train"
}

start_store
for system in $systems; do
  say "$system"
  case "$system" in
    trixie)
      try_wheel trixie 3.13
      try_deb trixie 3.13 ;;
    bookworm) try_wheel bookworm 3.11 ;;
    bullseye) try_deb bullseye 3.13 ;;
    *) echo "try_systems.sh: unknown system '$system', there are trixie, bookworm, bullseye" >&2; exit 2 ;;
  esac
done
say "all done"
