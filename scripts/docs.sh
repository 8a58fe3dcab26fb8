#!/bin/sh
# The site of docs/, in build/docs/site: a page for each document, and the reference. A broken link fails it.
set -eu
cd "$(dirname "$0")/.."

stamp=build/docs/venv/.requirements
if ! cmp -s docs/site/requirements.txt $stamp; then
  python3 -m venv build/docs/venv
  build/docs/venv/bin/pip install -q --disable-pip-version-check -r docs/site/requirements.txt
  cp docs/site/requirements.txt $stamp
fi
.venv/bin/python docs/site/gather.py build/docs/pages
# Its banner about other generators is no news here.
NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true build/docs/venv/bin/mkdocs build --quiet --clean
echo "docs: build/docs/site/index.html"
