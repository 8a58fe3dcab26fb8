#!/bin/sh
# A fine-tune from the real ImageNet weights of mobilenet_v1: all but the logits are restored, Fashion-MNIST's ten
# classes are learnt. Beside it the same training from random weights. Run real_weights.sh first: it makes the checkpoint.
# Usage: tests/reference/fine_tune.sh [WORK_FOLDER of real_weights.sh] [FOLDER of Fashion-MNIST]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${1:-$root/build/real_weights}
data=${2:-/usr/share/datasets/fashion-mnist}
mox=${MOX:-$root/build/release/bin/mox}
common="--model_name=mobilenet_v1 --dataset_name=fashion_mnist --data_url=$data --channels=3 --image_size=96 --preprocessing_name=lenet"
accuracy() { # accuracy NAME [flags of the training]
  name=$1
  shift
  rm -rf "$work/$name"
  "$mox" train $common --train_url="$work/$name" --batch_size=32 --max_number_of_steps=400 --optimizer=momentum \
    --learning_rate_strategy=1:0.01 --batch_norm_decay=0.98 --log_every_n_steps=100 "$@" >"$work/$name.log" 2>&1
  "$mox" eval $common --checkpoint_url="$work/$name" --batch_size=100 --json 2>/dev/null |
    sed -n 's/.*"accuracy": *\([0-9.]*\).*/\1/p' | tail -1
}
tuned=$(accuracy fine_tune --checkpoint_url="$work/checkpoint" --checkpoint_exclude_patterns=Logits)
scratch=$(accuracy from_scratch)
grep -m 3 -iE 'restor|checkpoint' "$work/fine_tune.log"
echo "test accuracy after 400 steps of 32: fine-tuned $tuned, from random weights $scratch"
awk "BEGIN { exit !($tuned > $scratch + 0.05) }"
