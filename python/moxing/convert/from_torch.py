"""torchvision and timm -> our networks. Each function takes a Source whose keys are the names of a state dict."""
import re

from moxing.convert.layers import Variables
from moxing.errors import UnsupportedError

_VGG_REPEATS = {"a": (1, 1, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}
_EPSILON = 1e-5  # of all their normalizations


class _Reader:
    def __init__(self, source):
        self.source = source
        self.variables = Variables()

    def weights(self, key):
        """[outputs, inputs, height, width], or [outputs, inputs], as ours: outputs last."""
        weights = self.source.take(key)
        return weights.transpose(2, 3, 1, 0) if weights.ndim == 4 else weights.T[None, None]

    def convolution(self, layer, scope):
        bias = f"{layer}.bias"
        self.variables.convolution(scope, self.weights(f"{layer}.weight"), self.source.take(bias) if bias in self.source else None)

    def convolution_and_norm(self, conv, norm, scope, epsilon):
        self.variables.convolution(scope, self.weights(f"{conv}.weight"))
        bias = f"{conv}.bias"
        self.source.leave(f"{norm}.num_batches_tracked")
        take = self.source.take
        self.variables.normalization(
            f"{scope}/BatchNorm", gamma=take(f"{norm}.weight"), beta=take(f"{norm}.bias"), mean=take(f"{norm}.running_mean"),
            variance=take(f"{norm}.running_var"), bias=take(bias) if bias in self.source else None,
            epsilons=None if epsilon == _EPSILON else (_EPSILON, epsilon))


def _resnet(source, name):
    reader = _Reader(source)
    basic = name in ("resnet_v15_18", "resnet_v15_34")
    reader.convolution_and_norm("conv1", "bn1", f"{name}/conv1", _EPSILON)
    for block in range(1, 5):
        unit = 0
        while f"layer{block}.{unit}.conv1.weight" in source:
            theirs, scope = f"layer{block}.{unit}", f"{name}/block{block}/unit_{unit + 1}/{'basic' if basic else 'bottleneck'}_v1"
            if f"{theirs}.downsample.0.weight" in source:
                reader.convolution_and_norm(f"{theirs}.downsample.0", f"{theirs}.downsample.1", f"{scope}/shortcut", _EPSILON)
            for i in range(1, 3 if basic else 4):
                reader.convolution_and_norm(f"{theirs}.conv{i}", f"{theirs}.bn{i}", f"{scope}/conv{i}", _EPSILON)
            unit += 1
    if "fc.weight" in source:
        reader.convolution("fc", f"{name}/logits")
    return reader.variables


def _features(source, dimensions):
    """The places in `features` whose weights have so many dimensions."""
    places = [re.fullmatch(r"features\.(\d+)\.weight", key) for key in source.arrays]
    return sorted(int(match.group(1)) for match in places if match and len(source.shape(match.group(0))) == dimensions)


def _vgg(source, name):
    reader = _Reader(source)
    convolutions, norms = _features(source, 4), _features(source, 1)
    scopes = [f"{name}/conv{block}/conv{block}_{i}" for block, repeats in enumerate(_VGG_REPEATS[name.split("_")[1]], 1)
              for i in range(1, repeats + 1)]
    for i, (place, scope) in enumerate(zip(convolutions, scopes)):
        if norms:
            reader.convolution_and_norm(f"features.{place}", f"features.{norms[i]}", scope, 1e-3)
        else:
            reader.convolution(f"features.{place}", scope)
    if source.shape("classifier.0.weight") == (4096, 25088):  # torchvision
        weights = source.take("classifier.0.weight").reshape(4096, 512, 7, 7).transpose(2, 3, 1, 0)
        reader.variables.convolution(f"{name}/fc6", weights, source.take("classifier.0.bias"))
        dense = ("classifier.3", "classifier.6")
    elif source.shape("pre_logits.fc1.weight") == (4096, 512, 7, 7):  # timm
        reader.convolution("pre_logits.fc1", f"{name}/fc6")
        dense = ("pre_logits.fc2", "head.fc")
    else:
        return reader.variables
    reader.convolution(dense[0], f"{name}/fc7")
    if f"{dense[1]}.weight" in source:
        reader.convolution(dense[1], f"{name}/fc8")
    return reader.variables


def _resnet_name(source):
    counts = [len({key.split(".")[1] for key in source.arrays if key.startswith(f"layer{block}.")}) for block in range(1, 5)]
    bottleneck = "layer1.0.conv3.weight" in source
    names = {(False, (2, 2, 2, 2)): "resnet_v15_18", (False, (3, 4, 6, 3)): "resnet_v15_34", (True, (3, 4, 6, 3)): "resnet_v15_50",
             (True, (3, 4, 23, 3)): "resnet_v15_101", (True, (3, 8, 36, 3)): "resnet_v15_152"}
    name = names.get((bottleneck, tuple(counts)))
    if name is None or source.shape("conv1.weight") != (64, 3, 7, 7) or bottleneck and source.shape("layer1.0.conv2.weight") != (64, 64, 3, 3):
        raise UnsupportedError(f"{source.path} is a ResNet of another kind (stages of {counts} units, first convolution of shape "
                               f"{source.shape('conv1.weight')}); there are {', '.join(names.values())}, as torchvision has them")
    return name


# Names of theirs whose padding, or pooling, no network of ours has: the numbers would be wrong without a word.
_DIFFER = (("features.0.0.weight", "MobileNetV2 of torchvision, which pads its convolutions evenly"),
           ("conv_stem.weight", "MobileNet or EfficientNet of timm, which pads its convolutions evenly"),
           ("Mixed_5b.branch1x1.conv.weight", "Inception v3 of torchvision, whose average pooling counts the padding"))


def network_of(source):
    """The name of our network, None when the layers are nobody's."""
    if "layer1.0.conv1.weight" in source and "layer4.0.conv1.weight" in source:
        return _resnet_name(source)
    count = len(_features(source, 4))
    sizes = {sum(repeats): f"vgg_{size}" for size, repeats in _VGG_REPEATS.items()}
    if count in sizes and source.shape("features.0.weight") == (64, 3, 3, 3):
        return sizes[count] + ("_bn" if _features(source, 1) else "")
    for key, what in _DIFFER:
        if key in source:
            raise UnsupportedError(f"{source.path} is a {what}: ours is another network. Keras' weights of it can be converted")
    return None


def family_of(name):
    """None for a network that they do not have."""
    return next((family for family in ("resnet_v15", "vgg") if name.startswith(family)), None)


def head_classes(source, name):
    """How many classes the last layer has; None without one."""
    for layer in ("fc", "classifier.6", "head.fc"):
        if f"{layer}.bias" in source:
            return source.shape(f"{layer}.bias")[0]
    return None


def variables_of(source, name, own_variables, rgb):
    """The variables of network `name`."""
    return (_vgg if family_of(name) == "vgg" else _resnet)(source, name)
