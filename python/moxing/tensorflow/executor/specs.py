"""What model_fn returns."""
from collections.abc import Sequence
from typing import Any

from moxing._arguments import shown
from moxing.errors import ArgumentTypeError, UnsupportedError


class ExportSpec:
    """Inputs and outputs of the exported model.

    inputs_dict: name -> tensor that a server feeds: usually model_fn's inputs. outputs_dict: name -> tensor. Both are the
    signature serving_default. version: the folder's name in log_dir; -1: the highest number there + 1. signatures: further
    ones, name -> (inputs_dict, outputs_dict): the same model asked in another way (encoded_images tells one).
    """

    def __init__(self, inputs_dict: "dict[str, Any]", outputs_dict: "dict[str, Any]", version: "int | str" = -1,
                 signatures: "dict[str, tuple[dict[str, Any], dict[str, Any]]] | None" = None):
        self.inputs_dict = inputs_dict
        self.outputs_dict = outputs_dict
        self.version = version
        self.signatures = signatures

    def further_signatures(self) -> "list[tuple[str, tuple[dict[str, Any], dict[str, Any]]]]":
        """[(name, (inputs_dict, outputs_dict))]. Raises ArgumentTypeError for signatures that are none."""
        given = self.signatures or {}
        if not isinstance(given, dict):
            raise ArgumentTypeError(f"ExportSpec: signatures is {shown(given)}, expected a dict: name -> (inputs_dict, outputs_dict)")
        for name, dicts in given.items():
            if not isinstance(name, str) or not isinstance(dicts, (tuple, list)) or len(dicts) != 2:
                raise ArgumentTypeError(f"ExportSpec: signatures[{name!r}] is {shown(dicts)}, expected a name -> (inputs_dict, "
                                        "outputs_dict)")
        return list(given.items())

    def version_name(self) -> str:
        """The version as a text. Raises ArgumentTypeError for what is neither a number nor a text."""
        if isinstance(self.version, bool) or not isinstance(self.version, (int, str)):
            raise ArgumentTypeError(f"ExportSpec: version is {shown(self.version)}, expected the name of a folder, a number, or -1 "
                                    "for the next one")
        return str(self.version)


class ModelSpec:
    """What model_fn returns. What a mode needs of it: TRAIN loss, EVAL log_info, PREDICT output_info, EXPORT export_spec.

    loss: a scalar, or a list of them (GAN). var_scopes: variable scopes that the loss trains; for a list of losses, a
    list a loss; None: all variables. log_info: name -> scalar. output_info: name -> tensor. export_spec: an ExportSpec. hooks: a list
    of tf.train.SessionRunHook (docs/hooks.md). compressor_spec is not offered: UnsupportedError for anything but None.
    """

    def __init__(self, loss: "Any" = None, var_scopes: "str | Sequence[Any] | None" = None, log_info: "dict[str, Any] | None" = None,
                 output_info: "dict[str, Any] | None" = None, export_spec: "ExportSpec | None" = None,
                 hooks: "Sequence[Any] | None" = None, compressor_spec: "None" = None):
        if compressor_spec is not None:
            raise UnsupportedError("ModelSpec: compressor_spec asks for the pruning or quantization of models, which is not "
                                   "offered by this version; leave it out. use_fp16 makes models smaller and faster")
        self.loss = loss
        self.var_scopes = var_scopes
        self.log_info = log_info
        self.output_info = output_info
        self.export_spec = export_spec
        self.hooks = hooks

    def losses(self) -> "list[Any]":
        """The losses as a list; empty when there is none."""
        if self.loss is None:
            return []
        return list(self.loss) if isinstance(self.loss, (list, tuple)) else [self.loss]

    def scopes(self) -> "list[list[str]]":
        """One list of variable scopes a loss; empty lists where all variables are trained."""
        losses = self.losses()
        if not self.var_scopes:
            return [[] for _ in losses]
        if isinstance(self.var_scopes, str):
            return [[self.var_scopes]]
        if all(isinstance(scope, str) for scope in self.var_scopes):
            return [list(self.var_scopes)]
        return [[scope] if isinstance(scope, str) else list(scope) for scope in self.var_scopes]
