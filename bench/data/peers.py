"""What users have today, on the same files: one JSON line a row.

Usage: peers.py tf DIR RECORDS_DIR | peers.py torch DIR
"""
import json
import os
import pathlib
import sys
import time

BATCH, SIZE = 32, 224


def report(who, row, count, begin, cpu):
    used = sum(os.times()[:4]) - cpu
    seconds = time.time() - begin
    print(json.dumps({"who": who, "row": row, "images": count, "images_per_s": round(count / seconds),
                      "images_per_cpu_s": round(count / max(used, 1e-9))}), flush=True)


def run_tf(folder, records):
    import tensorflow as tf

    files = sorted(str(p) for p in pathlib.Path(folder).rglob("*.jpg"))

    def decode(data):
        return tf.image.resize(tf.io.decode_jpeg(data, channels=3), (SIZE, SIZE), method="nearest")

    def time_it(row, dataset):
        begin, cpu, count = time.time(), sum(os.times()[:4]), 0
        for batch in dataset.batch(BATCH).prefetch(2):
            count += int(batch.shape[0])
        report("tf.data", row, count, begin, cpu)

    auto = tf.data.AUTOTUNE
    paths = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files))
    time_it("bytes", paths.map(tf.io.read_file, num_parallel_calls=auto))
    time_it("decoded", paths.map(lambda p: decode(tf.io.read_file(p)), num_parallel_calls=auto))
    spec = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
    shards = tf.data.Dataset.from_tensor_slices(sorted(str(p) for p in pathlib.Path(records).glob("train-*")))
    rows = shards.interleave(tf.data.TFRecordDataset, num_parallel_calls=auto).shuffle(256)
    time_it("tfrecord", rows.map(lambda r: decode(tf.io.parse_single_example(r, spec)["image/encoded"]),
                                 num_parallel_calls=auto))


def run_torch(folder):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.functional import InterpolationMode, resize

    files = sorted(str(p) for p in pathlib.Path(folder).rglob("*.jpg"))

    class Images(torch.utils.data.Dataset):
        def __init__(self, decoded):
            self.decoded = decoded

        def __len__(self):
            return len(files)

        def __getitem__(self, i):
            data = read_file(files[i])
            if not self.decoded:
                return data
            image = decode_jpeg(data, mode=ImageReadMode.RGB)
            return resize(image, [SIZE, SIZE], interpolation=InterpolationMode.NEAREST)

    for row in ("bytes", "decoded"):
        loader = torch.utils.data.DataLoader(
            Images(row == "decoded"), batch_size=BATCH, shuffle=True, num_workers=os.cpu_count(),
            collate_fn=list if row == "bytes" else None)
        begin, cpu, count = time.time(), sum(os.times()[:4]), 0
        for batch in loader:
            count += len(batch)
        report("torch DataLoader", row, count, begin, cpu)


if sys.argv[1] == "tf":
    run_tf(sys.argv[2], sys.argv[3])
else:
    run_torch(sys.argv[2])
