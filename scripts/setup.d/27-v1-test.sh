#!/bin/sh
# What scripts for TensorFlow 1 need of PyPI (the extra moxing[tf1]). Without their dependencies: tf-keras asks for the package
# tensorflow, which would be laid over tensorflow-cpu.
set -eu
cd "$(dirname "$0")/../.."

if ! .venv/bin/python -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("tf_slim") and u.find_spec("tf_keras")))'; then
  .venv/bin/pip install -q --disable-pip-version-check --no-deps tf-slim==1.1.0 tf-keras==2.21.0
fi
