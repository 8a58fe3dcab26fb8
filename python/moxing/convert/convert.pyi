"""Made by scripts/stubs.py of what `import moxing.convert.convert` gives; not to be changed by hand."""
from typing import Any
import dataclasses
import os

@dataclasses.dataclass
class Converted:
    """What convert_weights made."""
    model_name: str
    num_classes: int
    checkpoint: str
    source: str
    variables: int
    new_variables: list[str]
    left_over: list[str]
    difference: str = ...

def convert_weights(
    weights: str | bytes | os.PathLike[Any],
    train_url: str | bytes | os.PathLike[Any],
    model_name: str | None = None,
    num_classes: int | None = None,
    rgb: bool = False,
) -> Converted:
    """Makes a checkpoint of ours from a file of weights; returns a Converted.

    weights: .h5, .weights.h5 or .keras of keras.applications; .safetensors, .pth or .pt with the state dict of torchvision or timm; a
    checkpoint of TF-slim (a prefix, a folder, or an old single file). What it is is found out from what is in it.
    train_url: the folder to write, with no checkpoint in it. model_name: None: found out from the file. num_classes: of a network whose last layer is to be trained anew; by
    default the file's. rgb: the network of Keras was trained on red, green, blue as they are, not with its preprocess_input.

    Raises NotFoundError when the file is missing, UnsupportedError for a network or a format that is not known, DataError for a file
    that is broken or another network's, InvalidArgumentError when train_url holds a checkpoint already.
    """
