"""TFRecord files whose records are tf.Examples of zeros: sparse, so that 100 GB take some hundred MB."""
import numpy as np


def _table():
    table = np.arange(256, dtype=np.uint64)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ 0x82F63B78, table >> 1)
    return [int(value) for value in table]


_TABLE = _table()


def masked_crc(data):
    """CRC32C as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _example(size):
    """A tf.Example of about `size` bytes: image/class/label 1, and image/encoded, zeros that stand last."""
    label = _field(1, _field(1, b"image/class/label") + _field(2, _field(3, _field(1, b"\1"))))
    image = _field(1, _field(1, b"image/encoded") + _field(2, _field(1, _field(1, bytes(size)))))
    return _field(1, label + image)


def write_records(folder, files, records, size):
    """`records` of some `size` bytes in each file; how many there are in all."""
    example = _example(size)
    head = example.rstrip(b"\0")
    length = len(example).to_bytes(8, "little")
    begin = length + masked_crc(length).to_bytes(4, "little") + head
    end = masked_crc(example).to_bytes(4, "little")
    stride = 12 + len(example) + 4
    for file in range(files):
        with open(f"{folder}/train-{file:05d}-of-{files:05d}.tfrecord", "wb", buffering=0) as out:
            for record in range(records):
                out.seek(record * stride)
                out.write(begin)
                out.seek((record + 1) * stride - 4)
                out.write(end)
    return files * records
