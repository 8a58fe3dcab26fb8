"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.input` gives; not to be changed by hand."""
from typing import Any
import tensorflow.compat.v1 as tf

class InputSpec:
    """What input_fn returns for several lists of inputs, which model_fn gets apart: `inputs.get_input(0)`.

    split_to_device makes no difference: each device always has a batch of its own.
    """
    def __init__(self, split_to_device: bool = False) -> None: ...
    def get_input(self, index: int) -> list[tf.Tensor]:
        """The list that was added as the index-th, from 0."""
    def new_input(self, inputs: Any) -> None:
        """Adds a list of tensors, or one tensor: inputs."""
