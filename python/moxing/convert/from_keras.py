"""keras.applications -> our networks. Each function takes a Source with (layer, role) keys and gives a network's variables."""
import re

from moxing.convert.layers import Variables
from moxing.errors import UnsupportedError

_RESNET_EPSILONS = (1.001e-5, 1e-5)


class _Reader:
    """Takes layers of the file by their names. `bgr`: the network sees blue, green, red; ours sees red first."""

    def __init__(self, source, bgr):
        self.source = source
        self.variables = Variables()
        self._bgr = bgr

    def has(self, layer, role="kernel"):
        return (layer, role) in self.source

    def get(self, layer, role):
        return self.source.take((layer, role)) if self.has(layer, role) else None

    def _kernel(self, layer, first):
        kernel = self.source.take((layer, "kernel"))
        return kernel[:, :, ::-1] if first and self._bgr else kernel

    def convolution(self, layer, scope, first=False):
        self.variables.convolution(scope, self._kernel(layer, first), self.get(layer, "bias"))

    def normalization(self, layer, scope, conv=None, epsilons=None):
        """`conv`: the layer before it, whose bias goes into it."""
        take = self.source.take
        self.variables.normalization(
            scope, beta=take((layer, "beta")), mean=take((layer, "mean")), variance=take((layer, "variance")),
            gamma=self.get(layer, "gamma"), bias=self.get(conv, "bias") if conv else None, epsilons=epsilons)

    def convolution_and_norm(self, conv, norm, scope, first=False, epsilons=None):
        self.variables.convolution(scope, self._kernel(conv, first))
        self.normalization(norm, f"{scope}/BatchNorm", conv, epsilons)

    def depthwise(self, layer, scope):
        self.variables[f"{scope}/depthwise_weights"] = self.source.take((layer, "depthwise" if self.has(layer, "depthwise") else "kernel"))

    def head(self, scope, pointwise, names=("predictions", "fc1000", "conv_preds")):
        """The last layer, where the file has it; `pointwise`: ours is a 1x1 convolution."""
        layer = next((name for name in names if self.has(name)), None)
        if layer is None:
            return
        kernel = self.source.take((layer, "kernel"))
        if pointwise and kernel.ndim == 2:
            kernel = kernel[None, None]
        self.variables.convolution(scope, kernel, self.source.take((layer, "bias")))


def _vgg(reader, name, own_variables):
    for block, repeats in enumerate((2, 2, 3, 3, 3) if name == "vgg_16" else (2, 2, 4, 4, 4), 1):
        for i in range(1, repeats + 1):
            reader.convolution(f"block{block}_conv{i}", f"{name}/conv{block}/conv{block}_{i}", first=(block, i) == (1, 1))
    # Of an image of another size, or of another head, the dense layers have no place in the network.
    source = reader.source
    if source.shape(("fc1", "kernel")) == (25088, 4096) and source.shape(("fc2", "kernel")) == (4096, 4096):
        reader.variables.convolution(f"{name}/fc6", source.take(("fc1", "kernel")).reshape(7, 7, 512, 4096), source.take(("fc1", "bias")))
        reader.variables.convolution(f"{name}/fc7", source.take(("fc2", "kernel"))[None, None], source.take(("fc2", "bias")))
        reader.head(f"{name}/fc8", pointwise=True)


def _mobilenet_v1(reader, name, own_variables):
    reader.convolution_and_norm("conv1", "conv1_bn", "MobilenetV1/Conv2d_0")
    for i in range(1, 14):
        scope = f"MobilenetV1/Conv2d_{i}"
        reader.depthwise(f"conv_dw_{i}", f"{scope}_depthwise")
        reader.normalization(f"conv_dw_{i}_bn", f"{scope}_depthwise/BatchNorm")
        reader.convolution_and_norm(f"conv_pw_{i}", f"conv_pw_{i}_bn", f"{scope}_pointwise")
    reader.head("MobilenetV1/Logits/Conv2d_1c_1x1", pointwise=True)


def _mobilenet_v2(reader, name, own_variables):
    reader.convolution_and_norm("Conv1", "bn_Conv1", "MobilenetV2/Conv")
    for i in range(17):
        theirs = f"block_{i}" if i else "expanded_conv"
        scope = "MobilenetV2/expanded_conv" + (f"_{i}" if i else "")
        if i:
            reader.convolution_and_norm(f"{theirs}_expand", f"{theirs}_expand_BN", f"{scope}/expand")
        reader.depthwise(f"{theirs}_depthwise", f"{scope}/depthwise")
        reader.normalization(f"{theirs}_depthwise_BN", f"{scope}/depthwise/BatchNorm")
        reader.convolution_and_norm(f"{theirs}_project", f"{theirs}_project_BN", f"{scope}/project")
    reader.convolution_and_norm("Conv_1", "Conv_1_bn", "MobilenetV2/Conv_1")
    # Keras before 2.2.3 called it Logits.
    reader.head("MobilenetV2/Logits/Conv2d_1c_1x1", pointwise=True, names=("predictions", "Logits"))


def _units(name):
    blocks = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}[name.rpartition("_")[2]]
    return [(block, unit) for block, count in enumerate(blocks, 1) for unit in range(1, count + 1)]


def _resnet_v1(reader, name, own_variables):
    old = reader.has("res2a_branch2a")  # the names of Keras before 2.2.3, whose epsilon was 1e-3
    epsilons = (1e-3, 1e-5) if old else _RESNET_EPSILONS
    first = ("conv1", "bn_conv1") if old else ("conv1_conv", "conv1_bn")
    reader.convolution_and_norm(*first, f"{name}/conv1", first=True, epsilons=epsilons)
    for block, unit in _units(name):
        scope = f"{name}/block{block}/unit_{unit}/bottleneck_v1"
        for ours, branch, number in (("shortcut", "1", 0), ("conv1", "2a", 1), ("conv2", "2b", 2), ("conv3", "2c", 3)):
            if ours == "shortcut" and unit > 1:
                continue
            layer = f"{block + 1}{'abcdef'[unit - 1]}_branch{branch}" if old else f"conv{block + 1}_block{unit}_{number}"
            pair = (f"res{layer}", f"bn{layer}") if old else (f"{layer}_conv", f"{layer}_bn")
            reader.convolution_and_norm(*pair, f"{scope}/{ours}", epsilons=epsilons)
    reader.head(f"{name}/logits", pointwise=True)


def _resnet_v2(reader, name, own_variables):
    reader.convolution("conv1_conv", f"{name}/conv1")
    for block, unit in _units(name):
        theirs, scope = f"conv{block + 1}_block{unit}", f"{name}/block{block}/unit_{unit}/bottleneck_v2"
        reader.normalization(f"{theirs}_preact_bn", f"{scope}/preact", epsilons=_RESNET_EPSILONS)
        if unit == 1:
            reader.convolution(f"{theirs}_0_conv", f"{scope}/shortcut")
        for i in (1, 2):
            reader.convolution_and_norm(f"{theirs}_{i}_conv", f"{theirs}_{i}_bn", f"{scope}/conv{i}", epsilons=_RESNET_EPSILONS)
        reader.convolution(f"{theirs}_3_conv", f"{scope}/conv3")
    reader.normalization("post_bn", f"{name}/postnorm", epsilons=_RESNET_EPSILONS)
    reader.head(f"{name}/logits", pointwise=True)


def _numbered(source, kind):
    """Layers without names of their own, in the order in which they were made."""
    found = {}
    for layer, _ in source.arrays:
        match = re.fullmatch(rf"{kind}(?:_(\d+))?", layer)
        if match:
            found[int(match.group(1) or 0)] = layer
    return [found[number] for number in sorted(found)]


def _by_order(reader, scopes):
    source = reader.source
    convolutions, norms = _numbered(source, "conv2d"), _numbered(source, "batch_normalization")
    if len(convolutions) != len(scopes) or len(norms) != len(scopes):
        raise UnsupportedError(f"{source.path} has {len(convolutions)} convolutions and {len(norms)} normalizations without a name, "
                               f"expected {len(scopes)} of each")
    for convolution, norm, scope in zip(convolutions, norms, scopes):
        reader.convolution_and_norm(convolution, norm, scope)


def _inception_scopes(own_variables, left_out):
    """Our convolutions, in the order in which they are made, which is theirs."""
    scopes = [name.removesuffix("/weights") for name in own_variables if name.endswith("/weights")]
    return [scope for scope in scopes if not re.search(left_out, scope)]


def _inception_v3(reader, name, own_variables):
    _by_order(reader, _inception_scopes(own_variables, r"/(AuxLogits|Logits)/"))
    reader.head("InceptionV3/Logits/Conv2d_1c_1x1", pointwise=True)


def _inception_resnet_v2(reader, name, own_variables):
    root = "InceptionResnetV2"
    left_out = rf"^{root}/(AuxLogits|Logits)/|/(block35|block17|block8)_\d+/Conv2d_1x1$|/Block8/Conv2d_1x1$|/Conv2d_7b_1x1$"
    _by_order(reader, _inception_scopes(own_variables, left_out))
    for theirs, group, count in (("block35", "Repeat", 10), ("block17", "Repeat_1", 20), ("block8", "Repeat_2", 9)):
        for i in range(1, count + 1):
            reader.convolution(f"{theirs}_{i}_conv", f"{root}/{group}/{theirs}_{i}/Conv2d_1x1")
    reader.convolution("block8_10_conv", f"{root}/Block8/Conv2d_1x1")
    reader.convolution_and_norm("conv_7b", "conv_7b_bn", f"{root}/Conv2d_7b_1x1")
    reader.head(f"{root}/Logits/Logits", pointwise=False)


def _nasnet_separable(reader, theirs, ours, kernel):
    for i in (1, 2):
        layer = f"separable_conv_{i}_{theirs}"
        scope = f"{ours}/separable_{kernel}x{kernel}_{i}"
        for role in ("depthwise", "pointwise"):
            reader.variables[f"{scope}/{role}_weights"] = reader.source.take((layer, role))
        reader.normalization(f"separable_conv_{i}_bn_{theirs}", f"{ours}/bn_sep_{kernel}x{kernel}_{i}")


# (name of theirs, place of ours, kernel)
_NORMAL = (("left1", "comb_iter_0/left", 5), ("right1", "comb_iter_0/right", 3), ("left2", "comb_iter_1/left", 5),
           ("right2", "comb_iter_1/right", 3), ("left5", "comb_iter_4/left", 3))
_REDUCTION = (("left1", "comb_iter_0/left", 5), ("right1", "comb_iter_0/right", 7), ("right2", "comb_iter_1/right", 7),
              ("right3", "comb_iter_2/right", 5), ("left4", "comb_iter_4/left", 3))


def _nasnet_cell(reader, kind, block, ours):
    reader.convolution(f"{kind}_conv_1_{block}", f"{ours}/1x1")
    reader.normalization(f"{kind}_bn_1_{block}", f"{ours}/beginning_bn")
    if reader.has(f"adjust_conv_1_{block}"):
        reader.convolution(f"adjust_conv_1_{block}", f"{ours}/path1_conv")
        reader.convolution(f"adjust_conv_2_{block}", f"{ours}/path2_conv")
        reader.normalization(f"adjust_bn_{block}", f"{ours}/final_path_bn")
    elif reader.has(f"adjust_conv_projection_{block}"):
        reader.convolution(f"adjust_conv_projection_{block}", f"{ours}/prev_1x1")
        reader.normalization(f"adjust_bn_{block}", f"{ours}/prev_bn")
    for theirs, place, kernel in _NORMAL if kind == "normal" else _REDUCTION:
        _nasnet_separable(reader, f"{kind}_{theirs}_{block}", f"{ours}/{place}", kernel)


def _nasnet(reader, name, own_variables):
    blocks = 4 if name == "nasnet_mobile" else 6
    reader.convolution("stem_conv1", "conv0")
    reader.normalization("stem_bn1", "conv0_bn")
    for i in (1, 2):
        _nasnet_cell(reader, "reduction", f"stem_{i}", f"cell_stem_{i - 1}")
    for i in (1, 2):
        _nasnet_cell(reader, "reduction", f"reduce_{i * blocks}", f"reduction_cell_{i - 1}")
    for cell in range(3 * blocks):
        _nasnet_cell(reader, "normal", str(cell if cell < blocks else cell + 1), f"cell_{cell}")
    reader.head("final_layer/FC", pointwise=False)


def _outputs(source, layer):
    shape = source.shape((layer, "kernel"))
    return shape[-1] if shape else None


def _of_width(source, what, outputs, names):
    if outputs not in names:
        raise UnsupportedError(f"{source.path} is a {what} of another width ({outputs} channels in place of "
                               f"{', '.join(str(count) for count in names)}); there are {', '.join(names.values())}")
    return names[outputs]


def network_of(source):
    """The name of our network, None when the layers are nobody's."""
    def has(layer):
        return (layer, "kernel") in source

    if has("block5_conv3"):
        return "vgg_19" if has("block5_conv4") else "vgg_16"
    if has("conv_pw_13"):
        return _of_width(source, "MobileNet", _outputs(source, "conv_pw_13"), {
            1024: "mobilenet_v1", 768: "mobilenet_v1_075", 512: "mobilenet_v1_050", 256: "mobilenet_v1_025"})
    if has("block_16_project"):
        return _of_width(source, "MobileNetV2", _outputs(source, "block_16_project"), {
            320: "mobilenet_v2", 448: "mobilenet_v2_140", 112: "mobilenet_v2_035"})
    if has("res2a_branch2a"):
        return "resnet_v1_keras_50"
    if has("conv2_block1_1_conv"):
        depth = 152 if has("conv4_block36_1_conv") else 101 if has("conv4_block23_1_conv") else 50
        return f"resnet_v{2 if ('conv2_block1_preact_bn', 'beta') in source else 1}_keras_{depth}"
    if has("stem_conv1"):
        return _of_width(source, "NASNet", _outputs(source, "stem_conv1"), {32: "nasnet_mobile", 96: "nasnet_large"})
    if has("conv_7b"):
        return "inception_resnet_v2"
    if len(_numbered(source, "conv2d")) == 94:
        return "inception_v3"
    return None


_BUILDERS = {"vgg": _vgg, "mobilenet_v1": _mobilenet_v1, "mobilenet_v2": _mobilenet_v2, "resnet_v1_keras": _resnet_v1,
             "resnet_v2_keras": _resnet_v2, "nasnet": _nasnet, "inception_v3": _inception_v3,
             "inception_resnet_v2": _inception_resnet_v2}
# Whose preprocess_input turns red, green, blue round. Our preprocessing does not: the first convolution does.
_BGR = ("vgg", "resnet_v1_keras")


# Where our network, that of TF-slim, is not quite theirs.
_DIFFERENCES = {"nasnet": "Keras pads the pools of NASNet with zeros, TF-slim, where these weights come from, and this network do not: the logits "
                          "differ from Keras's at the images' borders"}


def difference_of(name):
    """In words; "" where the same picture gives the same logits."""
    return _DIFFERENCES.get(family_of(name), "")


def family_of(name):
    """None for a network that Keras does not have."""
    return next((family for family in _BUILDERS if name.startswith(family)), None)


def head_classes(source, name):
    """How many classes the last layer has; None without one."""
    layers = ("Logits",) if name.startswith("mobilenet_v2") else ()
    for layer in ("predictions", "fc1000", "conv_preds", *layers):
        if (layer, "bias") in source:
            return source.shape((layer, "bias"))[0]
    return None


def variables_of(source, name, own_variables, rgb):
    """The variables of network `name`. `own_variables`: its names, in the order in which they are made."""
    family = family_of(name)
    reader = _Reader(source, family in _BGR and not rgb)
    _BUILDERS[family](reader, name, own_variables)
    return reader.variables
