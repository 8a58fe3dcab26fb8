"""Reads .h5, .weights.h5 and .keras of Keras 1 to 3: HDF5 alone. No layer is made, no function of a model is loaded."""
import json
import re
import tempfile
import zipfile

from moxing.convert.arrays import Array, Source
from moxing.errors import DataError, UnsupportedError

_MOST_GROUPS = 200_000
_DEEPEST = 24
_MOST_BYTES = 16 << 30  # that a .keras may unpack to

# Names that weights have had since Keras 1.
_ROLES = [(role, re.compile(pattern)) for role, pattern in (
    ("depthwise", r"depthwise_kernel"), ("pointwise", r"pointwise_kernel"), ("kernel", r"kernel|_W(_\d+)?$"),
    ("bias", r"bias|_b(_\d+)?$"), ("gamma", r"gamma"), ("beta", r"beta"), ("mean", r"moving_mean|running_mean"),
    ("variance", r"moving_variance|running_std"))]
# By place, as Keras 3 saves them: how many there are tells which.
_PLACES = {
    "batch_normalization": {4: ["gamma", "beta", "mean", "variance"], 3: ["beta", "mean", "variance"], 2: ["mean", "variance"]},
    "separable_conv2d": {2: ["depthwise", "pointwise"], 3: ["depthwise", "pointwise", "bias"]},
    "depthwise_conv2d": {1: ["depthwise"], 2: ["depthwise", "bias"]},
}
_OTHER_PLACES = {1: ["kernel"], 2: ["kernel", "bias"]}


def _h5py():
    try:
        import h5py
    except ImportError as e:
        raise UnsupportedError("files of Keras need h5py: pip install h5py") from e
    return h5py


def _role(weight):
    name = weight.rpartition("/")[2].partition(":")[0]
    return next((role for role, pattern in _ROLES if pattern.search(name)), None)


class _Walker:
    """All data sets of an open file, by their paths. What points out of the file is refused."""

    def __init__(self, path, h5py):
        self._path = path
        self._h5py = h5py
        self._count = 0
        self.found = {}  # path -> data set
        self.names = {}  # path of a group "vars" -> the layer's name

    def walk(self, group, path="", depth=0):
        for key in group:
            self._count += 1
            if self._count > _MOST_GROUPS or depth > _DEEPEST:
                raise DataError(f"{self._path} is no file of weights: it has more than {_MOST_GROUPS} entries, or groups that hold "
                                "themselves")
            inner = f"{path}/{key}" if path else key
            if not isinstance(group.get(key, getlink=True), self._h5py.HardLink):
                raise DataError(f"{self._path}: {inner} points out of the file, which no file of weights needs; it is not read")
            value = group[key]
            if isinstance(value, self._h5py.Group):
                if key not in ("optimizer_weights", "optimizer"):
                    name = value.attrs.get("name") if key == "vars" else None
                    if name is not None:
                        self.names[inner] = name.decode() if isinstance(name, bytes) else str(name)
                    self.walk(value, inner, depth + 1)
            elif isinstance(value, self._h5py.Dataset):
                if value.external or value.is_virtual:
                    raise DataError(f"{self._path}: {inner} keeps its numbers in another file; it is not read")
                self.found[inner] = value


def _by_place(walker, names_of_config):
    """(layer, role) -> data set, of files whose weights are numbered: …/conv2d_3/vars/0."""
    groups = {}
    for path, data in walker.found.items():
        group, _, place = path.rpartition("/")
        if group.rpartition("/")[2] == "vars" and place.isdigit():
            groups.setdefault(group, {})[int(place)] = data
    found = {}
    for group, members in groups.items():
        saved = group.removesuffix("/vars").rpartition("/")[2]
        name = walker.names.get(group) or names_of_config.get(saved)
        if name is None:
            continue
        kind = re.sub(r"_\d+$", "", saved)
        roles = _PLACES.get(kind, _OTHER_PLACES).get(len(members))
        if roles and sorted(members) == list(range(len(members))):
            found.update({(name, role): members[place] for place, role in enumerate(roles)})
    if groups and not found:
        raise UnsupportedError("the file was written by a Keras that kept no names of layers, only their order; load it in Keras and save "
                               "it again as .keras or .h5")
    return found


def _by_name(walker):
    """(layer, role) -> data set, of files whose weights have names: …/layer/kernel:0."""
    found = {}
    for path, data in walker.found.items():
        role = _role(path)
        if role and "/" in path:
            found.setdefault((path.split("/")[-2], role), data)
    return found


def _array(path, key, data):
    if data.dtype.kind not in "fiu":
        raise DataError(f"{path}: {'/'.join(key)} holds {data.dtype}, expected numbers")
    return Array("/".join(key), data.shape, lambda: data[()])


def _snake_case(name):
    """As Keras makes the names of a file's groups from those of classes."""
    name = re.sub(r"\W+", "", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _names_of_config(text):
    """The group of each layer in a .keras file -> the layer's name, after the model's own list of layers."""
    names, counts = {}, {}

    def visit(config):
        for layer in config.get("config", {}).get("layers", []):
            kind = _snake_case(layer["class_name"])
            number = counts.get(kind, 0)
            counts[kind] = number + 1
            names[f"{kind}_{number}" if number else kind] = layer["config"]["name"]

    try:
        visit(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return names


def _from_file(path, file, names_of_config, closing):
    h5py = _h5py()
    try:
        opened = closing.enter_context(h5py.File(file, "r"))
        walker = _Walker(path, h5py)
        walker.walk(opened)
    except (OSError, RuntimeError, KeyError, ValueError) as e:
        raise DataError(f"{path} cannot be read as a file of Keras: {e}") from None
    found = {**_by_name(walker), **_by_place(walker, names_of_config)}
    if not found:
        raise DataError(f"{path} holds no weights of Keras layers")
    return Source(path, "Keras", {key: _array(path, key, data) for key, data in found.items()})


def _unpacked(path, archive, name, closing):
    info = archive.getinfo(name)
    if info.file_size > _MOST_BYTES or info.file_size > 1000 * max(info.compress_size, 1):
        raise DataError(f"{path}: {name} would unpack to {info.file_size} bytes from {info.compress_size}; it is not read")
    target = closing.enter_context(tempfile.TemporaryFile())
    with archive.open(name) as packed:
        while block := packed.read(1 << 20):
            target.write(block)
    target.seek(0)
    return target


def read_keras(path, closing):
    """The Source of a file; `closing`, an ExitStack, keeps what must stay open while it is used."""
    if not zipfile.is_zipfile(path):
        return _from_file(path, path, {}, closing)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "model.weights.h5" not in names:
                raise DataError(f"{path} holds no model.weights.h5: it is no .keras file with weights")
            weights = _unpacked(path, archive, "model.weights.h5", closing)
            config = ""
            if "config.json" in names and archive.getinfo("config.json").file_size < 1 << 26:
                config = archive.read("config.json").decode("utf-8", "replace")
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as e:
        raise DataError(f"{path} cannot be read as a .keras file: {e}") from None
    return _from_file(path, weights, _names_of_config(config), closing)
