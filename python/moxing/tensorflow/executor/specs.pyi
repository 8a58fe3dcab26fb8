"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.specs` gives; not to be changed by hand."""
from collections.abc import Sequence
from typing import Any

class ExportSpec:
    """Inputs and outputs of the exported model.

    inputs_dict: name -> tensor that a server feeds: usually model_fn's inputs. outputs_dict: name -> tensor. Both are the
    signature serving_default. version: the folder's name in log_dir; -1: the highest number there + 1. signatures: further
    ones, name -> (inputs_dict, outputs_dict): the same model asked in another way (encoded_images tells one).
    """
    def __init__(
        self,
        inputs_dict: dict[str, Any],
        outputs_dict: dict[str, Any],
        version: int | str = -1,
        signatures: dict[str, tuple[dict[str, Any], dict[str, Any]]] | None = None,
    ) -> None: ...
    def further_signatures(self) -> list[tuple[str, tuple[dict[str, Any], dict[str, Any]]]]:
        """[(name, (inputs_dict, outputs_dict))]. Raises ArgumentTypeError for signatures that are none."""
    def version_name(self) -> str:
        """The version as a text. Raises ArgumentTypeError for what is neither a number nor a text."""

class ModelSpec:
    """What model_fn returns. What a mode needs of it: TRAIN loss, EVAL log_info, PREDICT output_info, EXPORT export_spec.

    loss: a scalar, or a list of them (GAN). var_scopes: variable scopes that the loss trains; for a list of losses, a
    list a loss; None: all variables. log_info: name -> scalar. output_info: name -> tensor. export_spec: an ExportSpec. hooks: a list
    of tf.train.SessionRunHook (docs/hooks.md). compressor_spec is not offered: UnsupportedError for anything but None.
    """
    def __init__(
        self,
        loss: Any = None,
        var_scopes: str | Sequence[Any] | None = None,
        log_info: dict[str, Any] | None = None,
        output_info: dict[str, Any] | None = None,
        export_spec: ExportSpec | None = None,
        hooks: Sequence[Any] | None = None,
        compressor_spec: None = None,
    ) -> None: ...
    def losses(self) -> list[Any]:
        """The losses as a list; empty when there is none."""
    def scopes(self) -> list[list[str]]:
        """One list of variable scopes a loss; empty lists where all variables are trained."""
