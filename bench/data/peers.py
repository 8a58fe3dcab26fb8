"""What users have today, on the same data: one JSON line a row.

Usage: peers.py tf DIR RECORDS_DIR | peers.py torch DIR | peers.py s3 S3_URL (endpoint and keys as the AWS variables say)
Each prints the rows bytes and decoded; tf also tfrecord. Listing is in no side's time. An epoch goes before the one that
is timed: PyTorch's workers are started in it, tf.data tunes itself.
"""
import json
import os
import pathlib
import sys
import time

BATCH, SIZE = 32, 224


def report(who, row, count, begin):
    print(json.dumps({"who": who, "row": row, "images": count, "images_per_s": round(count / (time.time() - begin), 1)}),
          flush=True)


def run_tf(folder, records):
    import tensorflow as tf

    files = sorted(str(p) for p in pathlib.Path(folder).rglob("*.jpg"))

    def decode(data):
        return tf.image.resize(tf.io.decode_jpeg(data, channels=3), (SIZE, SIZE), method="nearest")

    def time_it(row, dataset):  # the second of three epochs: as many samples are read ahead at its end as at its begin
        begin, count, skipped = None, 0, 0
        for batch in dataset.repeat(3).batch(BATCH).prefetch(2):
            count += int(batch.shape[0])
            if begin is None and count >= len(files):
                begin, skipped = time.time(), count
            if count >= 2 * len(files):
                break
        report("tf.data", row, count - skipped, begin)

    auto = tf.data.AUTOTUNE
    paths = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files))
    time_it("bytes", paths.map(tf.io.read_file, num_parallel_calls=auto))
    time_it("decoded", paths.map(lambda p: decode(tf.io.read_file(p)), num_parallel_calls=auto))
    spec = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
    shards = tf.data.Dataset.from_tensor_slices(sorted(str(p) for p in pathlib.Path(records).glob("train-*")))
    rows = shards.interleave(tf.data.TFRecordDataset, num_parallel_calls=auto).shuffle(256)
    time_it("tfrecord", rows.map(lambda r: decode(tf.io.parse_single_example(r, spec)["image/encoded"]),
                                 num_parallel_calls=auto))


def run_torch(who, open_dataset):
    """open_dataset(transform) -> a map-style data set whose transform gets a file's bytes."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.functional import InterpolationMode, resize

    def decode(data):
        image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
        return resize(image, [SIZE, SIZE], interpolation=InterpolationMode.NEAREST)

    for row in ("bytes", "decoded"):
        dataset = open_dataset(decode if row == "decoded" else lambda data: data)
        len(dataset)  # lists the bucket
        loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=os.cpu_count(),
                                             persistent_workers=True, collate_fn=list if row == "bytes" else None)
        for _ in loader:  # the workers start
            pass
        begin, count = time.time(), 0
        for batch in loader:
            count += len(batch)
        report(who, row, count, begin)


def local_files(folder):
    import torch

    files = sorted(str(p) for p in pathlib.Path(folder).rglob("*.jpg"))

    class Images(torch.utils.data.Dataset):
        def __init__(self, transform):
            self.transform = transform

        def __len__(self):
            return len(files)

        def __getitem__(self, i):
            return self.transform(pathlib.Path(files[i]).read_bytes())

    return Images


def s3_objects(url):
    from s3torchconnector import S3ClientConfig, S3MapDataset

    def open_dataset(transform):
        return S3MapDataset.from_prefix(
            url.rstrip("/") + "/", region=os.environ["AWS_REGION"], endpoint=os.environ["AWS_ENDPOINT_URL"],
            transform=lambda reader: transform(reader.read()), s3client_config=S3ClientConfig(force_path_style=True))

    return open_dataset


if sys.argv[1] == "tf":
    run_tf(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "torch":
    run_torch("torch DataLoader", local_files(sys.argv[2]))
else:
    run_torch("s3torchconnector", s3_objects(sys.argv[2]))
