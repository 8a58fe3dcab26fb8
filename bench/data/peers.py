"""What users have today, on the same data: images a second of one row.

Usage: peers.py tf ROW SETTING IMAGES_DIR RECORDS_DIR | peers.py torch ROW workers=N IMAGES_DIR | peers.py dali ROW threads=N IMAGES_DIR |
peers.py ffcv ROW workers=N BETON_FILE | peers.py ffcv write again|kept BETON_FILE IMAGES_DIR | peers.py s3 ROW workers=N S3_URL
(endpoint and keys as the AWS variables say). ROW: bytes, decoded, or for tf tfrecord; or vgg, inception, vgg_eval,
inception_eval, which augment, and for tf tfrecord_vgg and so on. Listing is in no side's time. An epoch goes before the one that is
timed: PyTorch's workers are started in it, tf.data tunes itself.

Augmentation is TF-slim's. SETTING of tf: `ops`, the operations one after the other, or `crop`, where the crop is chosen first, only
that is decoded (decode_and_crop_jpeg), and only that is resized. PyTorch delivers bytes, which are a quarter of the memory, and
leaves the normalization to the training. FFCV reads a file of its own: its writer encodes the images again, at quality 90 (`again`), and
can be made to keep the files' bytes (`kept`); it has crops alone for inception and vgg_eval, and no place to add brightness but by a factor.
"""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

BATCH, SIZE = 32, 224


def report(count, begin, cpu_begin=None, **versions):
    """cpu_begin: of the process's CPU seconds, where no other process works for it."""
    values = {"images": count, "images_per_second": round(count / (time.time() - begin), 1)}
    if cpu_begin is not None:
        values["images_per_cpu_second"] = round(count / (time.process_time() - cpu_begin), 1)
    results.report(**values, versions={"python": sys.version.split()[0], **versions})


MEAN = [123.68, 116.78, 103.94]


def tf_vgg(tf, data, training, crop):
    shape = tf.cast(tf.io.extract_jpeg_shape(data)[:2], tf.float32) if crop else None
    image = None if crop else tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_FAST")
    size = shape if crop else tf.cast(tf.shape(image)[:2], tf.float32)
    side = tf.random.uniform([], 256, 513, tf.int32) if training else 256
    scale = tf.cast(side, tf.float32) / tf.reduce_min(size)
    resized = tf.cast(tf.round(size * scale), tf.int32)
    room = resized - SIZE
    corner = (tf.stack([tf.random.uniform([], 0, room[0] + 1, tf.int32), tf.random.uniform([], 0, room[1] + 1, tf.int32)])
              if training else room // 2)
    if crop:
        begin = tf.cast(tf.cast(corner, tf.float32) / scale, tf.int32)
        length = tf.minimum(tf.cast(tf.math.ceil(SIZE / scale), tf.int32), tf.cast(size, tf.int32) - begin)
        image = tf.io.decode_and_crop_jpeg(data, tf.concat([begin, length], 0), channels=3, dct_method="INTEGER_FAST")
        image = tf.compat.v1.image.resize_bilinear(image[None], [SIZE, SIZE])[0]
    else:
        image = tf.slice(tf.compat.v1.image.resize_bilinear(image[None], resized)[0], tf.concat([corner, [0]], 0), [SIZE, SIZE, 3])
    if training:
        image = tf.image.random_flip_left_right(image)
    return image - MEAN


def tf_inception(tf, data, training, crop):
    if not crop:
        image = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_FAST")
    shape = tf.io.extract_jpeg_shape(data) if crop else tf.shape(image)
    if training:
        begin, length, _ = tf.image.sample_distorted_bounding_box(shape, tf.constant([[[0.0, 0.0, 1.0, 1.0]]]), min_object_covered=0.1,
                                                                  aspect_ratio_range=(0.75, 1.33), area_range=(0.05, 1.0))
        begin, length = begin[:2], length[:2]
    else:
        begin = tf.cast(tf.cast(shape[:2], tf.float32) * 0.0625, tf.int32)
        length = shape[:2] - 2 * begin
    if crop:
        image = tf.io.decode_and_crop_jpeg(data, tf.concat([begin, length], 0), channels=3, dct_method="INTEGER_FAST")
    else:
        image = tf.slice(image, tf.concat([begin, [0]], 0), tf.concat([length, [3]], 0))
    image = tf.compat.v1.image.resize_bilinear(image[None], [SIZE, SIZE])[0] / 255.0
    if training:
        image = tf.image.random_flip_left_right(image)
        image = tf.image.random_saturation(tf.image.random_brightness(image, 32 / 255), 0.5, 1.5)
        image = tf.clip_by_value(image, 0.0, 1.0)
    return (image - 0.5) * 2


def run_tf(row, setting, folder, records):
    import tensorflow as tf

    files = sorted(str(p) for p in pathlib.Path(folder).rglob("*.jpg"))

    def decode(data):
        return tf.image.resize(tf.io.decode_jpeg(data, channels=3), (SIZE, SIZE), method="nearest")

    family = row.removeprefix("tfrecord").removeprefix("_")
    if family.split("_")[0] in ("vgg", "inception"):
        augment, training, crop = (tf_vgg if "vgg" in family else tf_inception), not family.endswith("_eval"), setting == "crop"

        def decode(data):
            return augment(tf, data, training, crop)

    auto = tf.data.AUTOTUNE
    paths = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files))
    if row == "bytes":
        dataset = paths.map(tf.io.read_file, num_parallel_calls=auto)
    elif not row.startswith("tfrecord"):
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
            begin, skipped, cpu = time.time(), count, time.process_time()
        if count >= 2 * len(files):
            break
    report(count - skipped, begin, cpu, tensorflow=tf.__version__)


def run_torch(row, workers, open_dataset, **versions):
    """open_dataset(transform) -> a map-style data set whose transform gets a file's bytes."""
    import torch
    import torchvision
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.functional import InterpolationMode, resize

    def decode(data):
        image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
        return resize(image, [SIZE, SIZE], interpolation=InterpolationMode.NEAREST)

    def augmentation():
        from torchvision.transforms import v2

        if row == "vgg":
            fit = v2.Compose([v2.RandomResize(256, 513, antialias=False), v2.RandomCrop(SIZE), v2.RandomHorizontalFlip()])
        elif row == "vgg_eval":
            fit = v2.Compose([v2.Resize(256, antialias=False), v2.CenterCrop(SIZE)])
        elif row == "inception":
            fit = v2.Compose([v2.RandomResizedCrop(SIZE, scale=(0.05, 1.0), ratio=(0.75, 1.33), antialias=False), v2.RandomHorizontalFlip(),
                              v2.ColorJitter(brightness=32 / 255, saturation=0.5)])
        else:
            fit = v2.Compose([v2.Lambda(lambda image: v2.functional.center_crop(image, [side * 7 // 8 for side in image.shape[-2:]])),
                              v2.Resize([SIZE, SIZE], antialias=False)])
        return lambda data: fit(decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB))

    dataset = open_dataset({"bytes": lambda data: data, "decoded": decode}.get(row) or augmentation())
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


def run_dali(row, threads, folder):
    """On the CPU alone."""
    import nvidia.dali
    from nvidia.dali import fn, pipeline_def, types

    training = not row.endswith("_eval")

    @pipeline_def(batch_size=BATCH, num_threads=threads, device_id=None, prefetch_queue_depth=2)
    def pipeline():
        files, _ = fn.readers.file(file_root=folder, random_shuffle=True, name="reader")
        mirror = fn.random.coin_flip() if training else 0
        if row.startswith("vgg"):
            side = fn.random.uniform(range=[256.0, 512.0]) if training else 256
            image = fn.resize(fn.decoders.image(files, output_type=types.RGB, use_fast_idct=True), resize_shorter=side, antialias=False)
            place = {"crop_pos_x": fn.random.uniform(range=[0.0, 1.0]), "crop_pos_y": fn.random.uniform(range=[0.0, 1.0])} if training else {}
            return fn.crop_mirror_normalize(image, crop=(SIZE, SIZE), mean=MEAN, std=[1.0, 1.0, 1.0], mirror=mirror, output_layout="HWC", **place)
        if training:
            image = fn.decoders.image_random_crop(files, output_type=types.RGB, use_fast_idct=True, random_area=[0.05, 1.0],
                                                  random_aspect_ratio=[0.75, 1.33])
        else:
            image = fn.crop(fn.decoders.image(files, output_type=types.RGB, use_fast_idct=True), crop=(0.875, 0.875))
        image = fn.resize(image, resize_x=SIZE, resize_y=SIZE, antialias=False)
        if training:
            image = fn.color_twist(image, brightness=fn.random.uniform(range=[0.875, 1.125]), saturation=fn.random.uniform(range=[0.5, 1.5]))
        return fn.crop_mirror_normalize(image, mean=[127.5] * 3, std=[127.5] * 3, mirror=mirror, output_layout="HWC")

    pipe = pipeline()
    pipe.build()
    count = pipe.epoch_size("reader")
    batches = (count + BATCH - 1) // BATCH
    for _ in range(batches):
        pipe.run()
    begin, cpu = time.time(), time.process_time()
    for _ in range(batches):
        pipe.run()
    report(batches * BATCH, begin, cpu, dali=nvidia.dali.__version__)


def ffcv_write(how, beton, folder):
    import numpy as np
    from ffcv.fields import IntField, RGBImageField
    from ffcv.fields.rgb_image import IMAGE_MODES
    from ffcv.writer import DatasetWriter
    from torchvision.io import ImageReadMode, read_image

    files = sorted(str(p) for p in pathlib.Path(folder).rglob("*.jpg"))

    class Images:
        def __len__(self):
            return len(files)

        def __getitem__(self, i):
            pixels = np.ascontiguousarray(read_image(files[i], ImageReadMode.RGB).permute(1, 2, 0).numpy())
            return (pixels if how == "again" else (pixels.shape, np.fromfile(files[i], np.uint8))), 0

    def encode(destination, image, malloc):
        shape, content = image
        destination["mode"] = IMAGE_MODES["jpg"]
        destination["height"], destination["width"] = shape[:2]
        destination["data_ptr"], storage = malloc(content.nbytes)
        storage[:] = content

    images = RGBImageField(write_mode="jpg", jpeg_quality=90)
    if how == "kept":
        images.encode = encode
    DatasetWriter(beton, {"image": images, "label": IntField()}, num_workers=2).from_indexed_dataset(Images())


def run_ffcv(row, workers, beton):
    import importlib.metadata

    import numpy as np
    from ffcv import transforms
    from ffcv.fields.decoders import CenterCropRGBImageDecoder, IntDecoder, RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption

    if row == "inception":
        steps = [RandomResizedCropRGBImageDecoder((SIZE, SIZE), scale=(0.05, 1.0), ratio=(0.75, 1.33)), transforms.RandomHorizontalFlip(),
                 transforms.RandomBrightness(32 / 255), transforms.RandomSaturation(0.5)]
        normalized = transforms.NormalizeImage(np.full(3, 127.5), np.full(3, 127.5), np.float32)
    else:
        steps, normalized = [CenterCropRGBImageDecoder((SIZE, SIZE), ratio=SIZE / 256)], transforms.NormalizeImage(np.array(MEAN), np.ones(3), np.float32)
    loader = Loader(beton, batch_size=BATCH, num_workers=workers, order=OrderOption.RANDOM, os_cache=True, drop_last=False,
                    pipelines={"image": [*steps, normalized], "label": [IntDecoder()]})
    for _ in loader:  # it is compiled
        pass
    begin, cpu, count = time.time(), time.process_time(), 0
    for images, _ in loader:
        count += len(images)
    report(count, begin, cpu, ffcv=importlib.metadata.version("ffcv"))


what, row, setting, *where = sys.argv[1:]
if what == "tf":
    run_tf(row, setting, *where)
elif what == "dali":
    run_dali(row, int(setting.split("=")[1]), *where)
elif what == "ffcv" and row == "write":
    ffcv_write(setting, *where)
elif what == "ffcv":
    run_ffcv(row, int(setting.split("=")[1]), *where)
elif what == "torch":
    run_torch(row, int(setting.split("=")[1]), local_files(*where))
else:
    import s3torchconnector

    run_torch(row, int(setting.split("=")[1]), s3_objects(*where), s3torchconnector=s3torchconnector.__version__)
