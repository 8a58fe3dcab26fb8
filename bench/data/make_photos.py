"""Makes the benchmark's data: 3,671 JPEGs of 222 MB in 5 class folders, crops of real photographs.

The size is that of the manual's benchmark. Photographs: the JPEGs of Debian's opencv-doc, of at least 300 pixels a side.
Usage: make_photos.py OUT_DIR [COUNT]
"""
import pathlib
import random
import sys

import tensorflow as tf

SOURCE = "/usr/share/doc/opencv-doc"
CLASSES = ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
BYTES_PER_IMAGE = 222e6 / 3671


def photographs():
    images = []
    for path in sorted(pathlib.Path(SOURCE).rglob("*.jp*g")):
        image = tf.io.decode_jpeg(path.read_bytes(), channels=3)
        # Plots and screenshots pack far better than photographs: leave them out.
        if min(image.shape[:2]) >= 300 and path.stat().st_size / (image.shape[0] * image.shape[1]) > 0.12:
            images.append(image)
    return images


def main():
    out = pathlib.Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3671
    rng = random.Random(1)
    sources = photographs()
    total, quality = 0, 90
    for i in range(count):
        image = rng.choice(sources)
        height, width = rng.choice([(333, 500), (375, 500), (240, 320), (500, 375), (400, 500), (500, 333)])
        size = min(image.shape[0], int(image.shape[1] * height / width))
        size = rng.randint(size * 3 // 4, size)
        crop = tf.image.random_crop(image, (size, min(image.shape[1], size * width // height), 3), seed=i)
        resized = tf.cast(tf.image.resize(crop, (height, width), antialias=True), tf.uint8)
        data = tf.io.encode_jpeg(resized, quality=quality).numpy()
        # Steers towards the wanted total.
        quality = max(50, min(97, quality + (1 if total < i * BYTES_PER_IMAGE else -1)))
        total += len(data)
        path = out / CLASSES[i % 5] / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    print(f"{count} images, {total / 1e6:.1f} MB, from {len(sources)} photographs")


main()
