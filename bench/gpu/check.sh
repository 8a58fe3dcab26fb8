#!/bin/sh
# Trains on this machine's GPUs and compares with its CPU: one command for a person who has GPUs.
#
#   pip install 'tensorflow[and-cuda]==2.21.0'   # in place of tensorflow-cpu, in the environment that MoXing uses
#   bench/gpu/check.sh [--python=PYTHON] [--gpus=N] [--steps=N] [--json=FILE]
#
# Losses of a small network and of ResNet-50, float32 and --use_fp16, on 1 and N GPUs, step by step against the same
# number of CPU devices; then images/s of ResNet-50. Prints a table; exit code 1 where losses differ. Without a GPU the
# same trainings run on the CPU alone, twice, which shows that the check itself works.
set -eu
cd "$(dirname "$0")/../.."
python=.venv/bin/python
for argument in "$@"; do
  case $argument in --python=*) python=${argument#--python=} ;; esac
done
[ -x "$python" ] || python=$(command -v python3)
if [ -d build/release/python/moxing ]; then
  PYTHONPATH=build/release/python${PYTHONPATH:+:$PYTHONPATH}
  export PYTHONPATH
fi
exec "$python" bench/gpu/check.py "$@"
