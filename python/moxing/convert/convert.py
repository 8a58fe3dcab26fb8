"""convert_weights: reads a file, finds the network, checks every variable, writes a checkpoint."""
import contextlib
import dataclasses
import json
import os
import re
import tempfile
import zipfile

from moxing import file
from moxing._arguments import Integer, PathText, Switch, Text, checked
from moxing.convert import from_keras, from_slim, from_torch
from moxing.convert.keras_files import read_keras
from moxing.convert.torch_files import read_safetensors, read_torch
from moxing.errors import DataError, InvalidArgumentError, NotFoundError, UnsupportedError
from moxing.tensorflow import get_model_fn, get_model_meta
from moxing.tensorflow._runtime import tf

_MAKERS = {"Keras": from_keras, "PyTorch": from_torch, "TF-slim": from_slim}
# Parts that only a training uses, or that a file without the top leaves out.
_AUXILIARY = re.compile(r"(^|/)(AuxLogits|aux_\d+)/")
_TOP_OF_VGG = re.compile(r"^vgg_[a0-9]+(_bn)?/fc[678]/")


@dataclasses.dataclass
class Converted:
    """What convert_weights made."""

    model_name: str
    num_classes: int
    checkpoint: str         # its prefix
    source: str             # "Keras", "PyTorch", "TF-slim"
    variables: int          # that the file gave
    new_variables: list[str]  # of initial values: the file has none for them
    left_over: list[str]    # of the file, not used
    difference: str = ""    # in words, where the network does not compute quite what the source's does


def _is_url(path):
    return "://" in path


def _local(path, closing):
    """A file of a store is copied here first."""
    if not _is_url(path):
        return path
    folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="mox_convert"))
    local = os.path.join(folder, path.rstrip("/").rpartition("/")[2])
    for suffix in ("", ".index", ".data-00000-of-00001"):
        if file.exists(path + suffix):
            file.copy(path + suffix, local + suffix)
    return local


def _begins(path, size):
    with open(path, "rb") as opened:
        return opened.read(size)


def _read(path, closing):
    """The Source of a file, by what is in it: names lie."""
    if os.path.isdir(path):
        newest = tf.train.latest_checkpoint(path)
        if newest is None:
            raise NotFoundError(f"the folder {path} holds no checkpoint; give the file of weights itself")
        return from_slim.read_checkpoint(newest)
    if os.path.exists(path + ".index"):
        return from_slim.read_checkpoint(path)
    if not os.path.isfile(path):
        raise NotFoundError(f"there is no file {path}")
    begin = _begins(path, 16)
    if begin.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_keras(path, closing)
    if begin.startswith(b"PK"):
        try:
            with zipfile.ZipFile(path) as archive:
                is_keras = any(name in ("config.json", "model.weights.h5") for name in archive.namelist())
        except (zipfile.BadZipFile, OSError) as e:
            raise DataError(f"{path} cannot be read: {e}") from None
        return read_keras(path, closing) if is_keras else read_torch(path)
    if begin[8:9] == b"{":
        return read_safetensors(path)
    if begin[:1] == b"\x80":
        return read_torch(path)
    if re.search(r"\.ckpt(-\d+)?$", path):
        return from_slim.read_checkpoint(path)
    raise DataError(f"{path} is none of the files that can be converted: .h5 and .keras of Keras, .safetensors, .pth and .pt of PyTorch, "
                    "checkpoints of TF-slim")


def _network(source, asked):
    maker = _MAKERS[source.kind]
    found = maker.network_of(source)
    if not found:
        if source.kind != "TF-slim" or not asked:
            names = ", ".join(source.left_over()[:4])
            raise UnsupportedError(f"{source.path} ({source.kind}, {len(source.arrays)} arrays: {names}, …) is of no network that there is "
                                   "here; docs/networks.md lists what can be converted")
        return asked
    same_variables = source.kind == "TF-slim"
    if asked and asked != found and not same_variables:
        raise InvalidArgumentError(f"model_name is {asked}, but {source.path} is a {found} of {source.kind}")
    return asked or found


def _own_variables(graph, name, num_classes):
    """The network's variables in a new graph, in the order in which they are made."""
    meta = get_model_meta(name)
    with graph.as_default(), tf.variable_scope(tf.get_variable_scope(), use_resource=True):
        side = meta.default_image_size
        get_model_fn(name, "EVAL", num_classes)(tf.placeholder(tf.float32, [1, side, side, meta.default_channels]))
        return {variable.op.name: variable for variable in tf.global_variables()}


def _is_top(name, model_name):
    return bool(_TOP_OF_VGG.search(name)) or bool(re.search(get_model_meta(model_name).default_logits_pattern, name))


def _check(source, name, variables, own):
    """Everything has its place and its shape; returns the names of those that the file does not have."""
    for variable, array in variables.items():
        if variable not in own:
            raise DataError(f"{source.path}: {name} has no variable {variable}, which the file would give")
        expected = own[variable].shape.as_list()
        if list(array.shape) != expected:
            raise DataError(f"{source.path}: {variable} of {name} has shape {expected}, the file gives {list(array.shape)}")
    missing = [variable for variable in own if variable not in variables]
    wrong = [variable for variable in missing if not (_AUXILIARY.search(variable) or _is_top(variable, name))]
    if wrong:
        raise DataError(f"{source.path} lacks {len(wrong)} of the {len(own)} variables of {name}, the first is {wrong[0]}: it is another "
                        "network's, or was cut off")
    return missing


def _write(folder, variables, graph, own, missing):
    prefix = folder.rstrip("/") + "/model.ckpt"
    file.make_dirs(folder)
    with graph.as_default(), tf.Session(graph=graph) as session:
        made = [own[name] for name in missing]
        session.run(tf.variables_initializer(made))
        values = {**variables, **dict(zip(missing, session.run(made)))}
    # In a graph, with placeholders: in TensorFlow 1's mode and in 2's, and of any size.
    with tf.Graph().as_default() as saving, tf.Session(graph=saving) as session:
        names = sorted(values)
        fed = [tf.placeholder(values[name].dtype) for name in names]
        save = tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=fed)
        session.run(save, {place: values[name] for place, name in zip(fed, names)})
    return prefix


@checked
def convert_weights(weights: PathText(), train_url: PathText(), model_name: Text("the name of a network") = None,
                    num_classes: Integer(1, 2**24) = None, rgb: Switch() = False) -> Converted:
    """Makes a checkpoint of ours from a file of weights; returns a Converted.

    weights: .h5, .weights.h5 or .keras of keras.applications; .safetensors, .pth or .pt with the state dict of torchvision or timm; a
    checkpoint of TF-slim (a prefix, a folder, or an old single file). What it is is found out from what is in it.
    train_url: the folder to write, with no checkpoint in it. model_name: None: found out from the file. num_classes: of a network whose last layer is to be trained anew; by
    default the file's. rgb: the network of Keras was trained on red, green, blue as they are, not with its preprocess_input.

    Raises NotFoundError when the file is missing, UnsupportedError for a network or a format that is not known, DataError for a file
    that is broken or another network's, InvalidArgumentError when train_url holds a checkpoint already.
    """
    if file.exists(train_url.rstrip("/") + "/checkpoint"):
        raise InvalidArgumentError(f"{train_url} holds a checkpoint already; give another folder")
    with contextlib.ExitStack() as closing:
        source = _read(_local(weights, closing), closing)
        source.path = weights
        name = _network(source, model_name)
        maker = _MAKERS[source.kind]
        meta = get_model_meta(name)
        in_file = maker.head_classes(source, name)
        classes = num_classes or in_file
        if not classes:
            raise InvalidArgumentError(f"{weights} has no last layer: give num_classes, of the classes that you will train")
        graph = tf.Graph()
        own = _own_variables(graph, name, classes)
        variables = maker.variables_of(source, name, list(own), rgb)
        if classes != in_file:
            variables = {key: array for key, array in variables.items() if not re.search(meta.default_logits_pattern, key)}
        missing = _check(source, name, variables, own)
        prefix = _write(train_url, variables, graph, own, missing)
    settings = {"model_name": name, "num_classes": classes, "converted_from": f"{source.kind}: {weights}"}
    if source.kind == "PyTorch" and meta.default_channels == 3:
        settings["preprocessing_name"] = "torch"
    file.write(f"{train_url.rstrip('/')}/run.json", json.dumps(settings, indent=2) + "\n")
    file.write(f"{train_url.rstrip('/')}/checkpoint", 'model_checkpoint_path: "model.ckpt"\n')
    difference = maker.difference_of(name) if maker is from_keras else ""
    return Converted(name, classes, prefix, source.kind, len(variables), missing, source.left_over(), difference)
