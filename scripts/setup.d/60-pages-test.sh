#!/bin/sh
# What the test of docs/kubernetes.md needs: a reader of YAML and a checker of schemas.
set -eu
cd "$(dirname "$0")/../.."

.venv/bin/python -c 'import jsonschema, yaml' 2>/dev/null || .venv/bin/pip install -q --disable-pip-version-check jsonschema pyyaml
