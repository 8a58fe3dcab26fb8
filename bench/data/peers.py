"""What users have today, on the same data: images a second of one row.

Usage: peers.py tf ROW SETTING IMAGES_DIR RECORDS_DIR | peers.py torch ROW workers=N IMAGES_DIR | peers.py s3 ROW workers=N S3_URL
(endpoint and keys as the AWS variables say). ROW: bytes, decoded, or for tf tfrecord. Listing is in no side's time. An epoch
goes before the one that is timed: PyTorch's workers are started in it, tf.data tunes itself.
"""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

BATCH, SIZE = 32, 224


def report(count, begin, **versions):
    results.report(images=count, images_per_second=round(count / (time.time() - begin), 1), versions={"python": sys.version.split()[0], **versions})


def run_tf(row, folder, records):
    import tensorflow as tf

    files = sorted(str(p) for p in pathlib.Path(folder).rglob("*.jpg"))

    def decode(data):
        return tf.image.resize(tf.io.decode_jpeg(data, channels=3), (SIZE, SIZE), method="nearest")

    auto = tf.data.AUTOTUNE
    paths = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files))
    if row == "bytes":
        dataset = paths.map(tf.io.read_file, num_parallel_calls=auto)
    elif row == "decoded":
        dataset = paths.map(lambda p: decode(tf.io.read_file(p)), num_parallel_calls=auto)
    else:
        spec = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
        shards = tf.data.Dataset.from_tensor_slices(sorted(str(p) for p in pathlib.Path(records).glob("train-*")))
        dataset = shards.interleave(tf.data.TFRecordDataset, num_parallel_calls=auto).shuffle(256).map(
            lambda r: decode(tf.io.parse_single_example(r, spec)["image/encoded"]), num_parallel_calls=auto)
    begin, count, skipped = None, 0, 0
    for batch in dataset.repeat(3).batch(BATCH).prefetch(2):  # the second of three epochs: as many are read ahead at its end as at its begin
        count += int(batch.shape[0])
        if begin is None and count >= len(files):
            begin, skipped = time.time(), count
        if count >= 2 * len(files):
            break
    report(count - skipped, begin, tensorflow=tf.__version__)


def run_torch(row, workers, open_dataset, **versions):
    """open_dataset(transform) -> a map-style data set whose transform gets a file's bytes."""
    import torch
    import torchvision
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.functional import InterpolationMode, resize

    def decode(data):
        image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
        return resize(image, [SIZE, SIZE], interpolation=InterpolationMode.NEAREST)

    dataset = open_dataset(decode if row == "decoded" else lambda data: data)
    len(dataset)  # lists the bucket
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=True,
                                         collate_fn=list if row == "bytes" else None)
    for _ in loader:  # the workers start
        pass
    begin, count = time.time(), 0
    for batch in loader:
        count += len(batch)
    report(count, begin, torch=torch.__version__, torchvision=torchvision.__version__, **versions)


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


what, row, setting, *where = sys.argv[1:]
if what == "tf":
    run_tf(row, *where)
elif what == "torch":
    run_torch(row, int(setting.split("=")[1]), local_files(*where))
else:
    import s3torchconnector

    run_torch(row, int(setting.split("=")[1]), s3_objects(*where), s3torchconnector=s3torchconnector.__version__)
