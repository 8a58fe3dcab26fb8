"""Reads .safetensors, and .pt, .pth, .bin of PyTorch, without PyTorch. The pickle in the latter may name what a state dict consists
of and nothing else: whatever other function it names, nothing is called and the file is refused."""
import collections
import functools
import io
import json
import math
import pickle
import struct
import zipfile

import numpy as np

from moxing.convert.arrays import Array, Source
from moxing.errors import DataError

_MOST_HEADER = 100 << 20
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

_TYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16", "LongStorage": "<i8",
          "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "<u1"}
_SAFE_TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "bfloat16", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
               "U8": "<u1", "BOOL": "<u1"}


def _item_size(kind):
    return 2 if kind == "bfloat16" else np.dtype(kind).itemsize


def _numbers(data, kind):
    if kind != "bfloat16":
        return np.frombuffer(data, kind)
    return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")


class _Tensor:
    """Part of a storage, as _rebuild_tensor_v2 is told."""

    def __init__(self, storage, offset, size, stride):
        ints = [offset, *size, *stride]
        if not all(type(number) is int and 0 <= number < 1 << 40 for number in ints) or len(size) != len(stride) or len(size) > 8:
            raise pickle.UnpicklingError("a tensor of a shape that there is not")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def read(self):
        numbers = self.storage.numbers()
        if math.prod(self.size) > len(numbers):
            raise DataError(f"a tensor of shape {list(self.size)} has {len(numbers)} numbers: the file is cut off, or broken")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride))
        if 0 in self.size:
            return np.zeros(self.size, np.float32)
        if last >= len(numbers):
            raise DataError(f"a tensor of shape {list(self.size)} reaches behind its {len(numbers)} numbers: the file is cut off")
        strides = [stride * numbers.itemsize for stride in self.stride]
        return np.lib.stride_tricks.as_strided(numbers[self.offset:], self.size, strides).copy()


class _Storage:
    def __init__(self, kind, size):
        self.kind, self.size = kind, size
        self.load = None  # a function without arguments -> bytes

    def numbers(self):
        return _numbers(self.load(), self.kind)


class _StorageType:
    def __init__(self, name):
        self.name = name


def _rebuild_tensor(storage, offset, size, stride, *_):
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(data, *_):
    return data


_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): tuple,
    **{("torch", name): _StorageType(name) for name in _TYPES},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, storages):
        super().__init__(file, encoding="latin1")
        self._storages = storages

    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of a state dict")
        return _ALLOWED[module, name]

    def persistent_load(self, pid):
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], _StorageType)):
            raise pickle.UnpicklingError("a storage of a kind that there is not")
        _, kind, key, _, size = pid[:5]
        if not isinstance(key, str) or type(size) is not int:
            raise pickle.UnpicklingError("a storage without a name")
        return self._storages.setdefault(key, _Storage(_TYPES[kind.name], size))


def _unpickled(path, file, storages):
    try:
        return _Unpickler(file, storages).load()
    except DataError:
        raise
    except Exception as e:  # a pickle can fail in any way
        raise DataError(f"{path} is refused: {e}. Save the state dict alone, torch.save(model.state_dict(), …), or as .safetensors; "
                        "nothing in the file was executed") from None


def _state_dict(path, value):
    """The tensors by name, of a state dict or of a checkpoint around one."""
    for _ in range(3):
        if isinstance(value, dict) and any(isinstance(tensor, _Tensor) for tensor in value.values()):
            tensors = {name: tensor for name, tensor in value.items() if isinstance(name, str) and isinstance(tensor, _Tensor)}
            for prefix in ("module.", "model.", "backbone."):  # of DataParallel and of trainers
                if tensors and all(name.startswith(prefix) for name in tensors):
                    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
            return tensors
        if not isinstance(value, dict):
            break
        value = next((value[key] for key in ("state_dict", "model_state_dict", "model", "net") if isinstance(value.get(key), dict)), None)
    raise DataError(f"{path} holds no state dict: expected names of tensors, or 'state_dict' or 'model' around them")


def _source(path, tensors):
    # Not the tensor's own attributes: a pickle may have set them.
    if not all(type(tensor.storage) is _Storage for tensor in tensors.values()):
        raise DataError(f"{path} is refused: a tensor in it has no storage")
    return Source(path, "PyTorch", {name: Array(name, tensor.size, functools.partial(_Tensor.read, tensor))
                                    for name, tensor in tensors.items()})


def _read_zip(path):
    storages = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            pickles = [name for name in members if name.endswith("/data.pkl")]
            if len(pickles) != 1 or members[pickles[0]].file_size > _MOST_HEADER:
                raise DataError(f"{path} is no file of torch.save: it has {len(pickles)} data.pkl, expected one of at most 100 MB")
            value = _unpickled(path, io.BytesIO(archive.read(pickles[0])), storages)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as e:
        raise DataError(f"{path} cannot be read: {e}") from None
    folder = pickles[0].removesuffix("data.pkl") + "data/"
    for key, storage in storages.items():
        storage.load = lambda name=folder + key, storage=storage: _member(path, name, storage)
    return _source(path, _state_dict(path, value))


def _member(path, name, storage):
    expected = storage.size * _item_size(storage.kind)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).file_size != expected:
                raise DataError(f"{path}: {name} has {archive.getinfo(name).file_size} bytes, expected {expected}")
            return archive.read(name)
    except (zipfile.BadZipFile, OSError, KeyError) as e:
        raise DataError(f"{path}: {name} cannot be read: {e}") from None


def _read_legacy(path):
    """torch.save before 1.6: pickles one after the other, then the storages."""
    storages = {}
    with open(path, "rb") as file:
        if _unpickled(path, file, storages) != _LEGACY_MAGIC:
            raise DataError(f"{path} is no file of torch.save")
        _unpickled(path, file, storages)  # the version of the format
        _unpickled(path, file, storages)  # of the machine
        value = _unpickled(path, file, storages)
        keys = _unpickled(path, file, storages)
        if not isinstance(keys, list):
            raise DataError(f"{path} is no file of torch.save")
        for key in keys:
            storage = storages.get(key) if isinstance(key, str) else None
            head = file.read(8)
            if storage is None or len(head) < 8 or struct.unpack("<q", head)[0] != storage.size:
                raise DataError(f"{path} is cut off, or broken, at the storage {key!r}")
            place, size = file.tell(), storage.size * _item_size(storage.kind)
            storage.load = lambda place=place, size=size: _piece(path, place, size)
            file.seek(size, io.SEEK_CUR)
    return _source(path, _state_dict(path, value))


def _piece(path, place, size):
    with open(path, "rb") as file:
        file.seek(place)
        data = file.read(size)
    if len(data) != size:
        raise DataError(f"{path} is cut off: {len(data)} of {size} bytes at {place}")
    return data


def read_safetensors(path):
    with open(path, "rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= _MOST_HEADER:
            raise DataError(f"{path} is no .safetensors file: its header has {length} bytes")
        text = file.read(length)
        size = file.seek(0, io.SEEK_END) - 8 - length
    arrays = {}
    try:
        for name, entry in json.loads(text).items():
            if name == "__metadata__":
                continue
            kind, shape, (begin, end) = _SAFE_TYPES.get(entry["dtype"]), entry["shape"], entry["data_offsets"]
            if kind is None:
                raise ValueError(f"{name} is of type {entry['dtype']}, which is not offered")
            if not all(type(number) is int and number >= 0 for number in [begin, end, *shape]) or end > size or \
                    end - begin != math.prod(shape) * _item_size(kind):
                raise ValueError(f"{name} has shape {shape} and bytes {begin} to {end} of {size}")
            arrays[name] = Array(name, shape, lambda place=8 + length + begin, count=end - begin, kind=kind, shape=shape:
                                 _numbers(_piece(path, place, count), kind).reshape(shape))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
        raise DataError(f"{path} is no .safetensors file, or broken: {e}") from None
    return Source(path, "PyTorch", arrays)


def read_torch(path):
    """The Source of a .pt, .pth or .bin file."""
    return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
