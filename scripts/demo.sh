#!/bin/sh
# The demo: LeNet on Fashion-MNIST, trained, evaluated, used and exported with the program `mox`.
set -eu
cd "$(dirname "$0")/.."

mox=build/release/bin/mox
data=${MOX_DEMO_DATA:-/usr/share/datasets/fashion-mnist}
run=${MOX_DEMO_RUN:-demo-run}
steps=${MOX_DEMO_STEPS:-3600}

echo "== Training LeNet on Fashion-MNIST: $steps steps of 50 (Ctrl-C saves and stops; run it again to go on)"
$mox train --model_name=lenet --dataset_name=fashion_mnist --data_url="$data" --train_url="$run" --batch_size=50 \
  --max_number_of_steps="$steps" --optimizer=adam --learning_rate_strategy='2:0.001,3:0.001=>0.0001' --log_every_n_steps=100

echo "== Evaluating on the 10,000 test images"
$mox eval --checkpoint_url="$run"

echo "== Predicting a few of them"
.venv/bin/python - "$data" "$run" <<'PYTHON'
# The first eight test images as PNG files named by what they show.
import gzip, os, struct, sys, zlib
data, run = sys.argv[1:]
names = [line.split(": ", 1)[1].strip() for line in open(os.path.join(run, "labels.txt"))]
images = gzip.open(os.path.join(data, "t10k-images-idx3-ubyte.gz")).read()[16:]
labels = gzip.open(os.path.join(data, "t10k-labels-idx1-ubyte.gz")).read()[8:]
def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
os.makedirs(os.path.join(run, "samples"), exist_ok=True)
for i in range(8):
    rows = b"".join(b"\0" + images[i * 784 + r * 28:i * 784 + r * 28 + 28] for r in range(28))
    name = "%d-%s.png" % (i, names[labels[i]].lower().replace(" ", "-").replace("/", "-"))
    with open(os.path.join(run, "samples", name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PYTHON
$mox predict --checkpoint_url="$run" "$run/samples"

echo "== Exporting for TF-Serving"
model=$($mox export --checkpoint_url="$run")

cat <<END

Log:     $run/log.jsonl
Events:  .venv/bin/tensorboard --logdir=$run
Model:   $model (SavedModel, signature serving_default)
END
