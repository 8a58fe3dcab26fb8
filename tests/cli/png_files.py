"""PNG files, for tests that must not need a library for it."""

import struct
import zlib


def png(width, height, depth, colour, rows):
    """`rows`: the bytes of the picture, a filter's byte before each row."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_png(path, pixels):
    """Grey ones: uint8 [height, width]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(pixels.shape[1], pixels.shape[0], 8, 0, b"".join(b"\0" + row.tobytes() for row in pixels)))
