"""Which networks of PyTorch stand beside ours in the benchmarks.

PEERS: which of torchvision's and timm's networks is ours. Those of ours that differ in where a block has its stride are alike in memory.
"""
_RESNETS = {f"{kind}_{depth}": f"torchvision.resnet{depth}" for kind in ("resnet_v1", "resnet_v15", "resnet_v1_keras")
            for depth in (18, 34, 50, 101, 152) if (kind, depth) not in (("resnet_v1", 34), ("resnet_v1_keras", 18), ("resnet_v1_keras", 34))}
PEERS = {
    **_RESNETS,
    **{f"{kind}_{depth}": f"timm.resnetv2_{depth}" for kind in ("resnet_v2", "resnet_v2_keras") for depth in (50, 101, 152)},
    **{f"vgg_{name}{norm}": f"torchvision.vgg{depth}{norm}" for name, depth in (("a", 11), ("16", 16), ("19", 19)) for norm in ("", "_bn")},
    "resnet_v1_50_8k": "torchvision.resnet50", "resnet_v1_200": "timm.resnet200", "alexnet_v2": "torchvision.alexnet",
    "resnext_b_50": "torchvision.resnext50_32x4d", "resnext_b_101": "timm.resnext101_32x4d",
    "resnext_c_50": "torchvision.resnext50_32x4d", "resnext_c_101": "timm.resnext101_32x4d",
    "inception_v1": "torchvision.googlenet", "inception_v3": "torchvision.inception_v3", "inception_v4": "timm.inception_v4",
    "inception_resnet_v2": "timm.inception_resnet_v2",
    "mobilenet_v1": "timm.mobilenetv1_100", "mobilenet_v2": "torchvision.mobilenet_v2", "mobilenet_v2_140": "timm.mobilenetv2_140",
    "mobilenet_v2_035": "timm.mobilenetv2_035",
    "nasnet_large": "timm.nasnetalarge", "pnasnet_large": "timm.pnasnet5large",
}
_WITHOUT_AUXILIARY = {"googlenet": {"aux_logits": False, "init_weights": False}, "inception_v3": {"aux_logits": False, "init_weights": False}}
_SIZES = {"inception_v3": 299, "inception_v4": 299, "inception_resnet_v2": 299, "nasnet_large": 331, "pnasnet_large": 331}


def make(name):
    """The peer of our network `name`, and the side of its images."""
    import timm
    import torchvision
    library, _, model_name = PEERS[name].partition(".")
    if library == "timm":
        return timm.create_model(model_name), _SIZES.get(name, 224)
    return getattr(torchvision.models, model_name)(**_WITHOUT_AUXILIARY.get(model_name, {})), _SIZES.get(name, 224)
