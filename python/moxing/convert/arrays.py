"""What the readers have in common: arrays of a file by their names, read when they are asked for."""
from moxing.errors import DataError


class Array:
    """An array of a file: its shape is known, its numbers are read by read()."""

    def __init__(self, name, shape, read):
        self.name = name
        self.shape = tuple(int(size) for size in shape)
        self.read = read


class Source:
    """The arrays of a file, and which of them were used."""

    def __init__(self, path, kind, arrays):
        self.path = path
        self.kind = kind  # "Keras", "PyTorch", "TF-slim"
        self.arrays = arrays  # key -> Array
        self._used = set()

    def __contains__(self, key):
        return key in self.arrays

    def shape(self, key):
        """None where there is no such array."""
        return self.arrays[key].shape if key in self.arrays else None

    def take(self, key):
        """The array, as float32."""
        if key not in self.arrays:
            raise DataError(f"{self.path} has no {self.shown(key)}: it is another network's, or was cut off")
        self._used.add(key)
        return self.arrays[key].read().astype("float32")

    def leave(self, key):
        """Of no use to anyone: not told as left over."""
        self._used.add(key)

    def left_over(self):
        return sorted(self.shown(key) for key in self.arrays if key not in self._used)

    @staticmethod
    def shown(key):
        return "/".join(key) if isinstance(key, tuple) else key
