"""Made by scripts/stubs.py of what `import moxing.tensorflow.auto` gives; not to be changed by hand."""
from collections.abc import Callable
from typing import Any, Literal
from moxing.tensorflow.executor.run import RunResult

class ModelSize:
    """For scripts that give model_size to search, which it makes no difference to."""
    LARGE: Literal['LARGE']
    SMALL: Literal['SMALL']

class ParamSpec:
    """Hyper-parameters by name: ParamSpec(momentum=0.9).momentum. As param_list_spec, each is a list of what to try.

    values: a name and its value each.
    """
    def __init__(self, **values: Any) -> None: ...
    def changed(self, **values: Any) -> ParamSpec:
        """The same with other values for these names."""

def run(*args: Any, param_spec: ParamSpec | None = None, **kwargs: Any) -> RunResult:
    """mox.run, with param_spec for model_fn and optimizer_fn. args and kwargs are those of mox.run; so are the errors."""

def search(
    input_fn: Callable[..., Any],
    model_fn: Callable[..., Any],
    optimizer_fn: Callable[..., Any],
    batch_size: int | None = None,
    auto_batch: bool = True,
    total_steps: int = 100,
    evaluation_total_steps: int = 10,
    model_size: str | None = None,
    by_acc: bool = True,
    checkpoint_path: str | None = None,
    select_by_eval: bool = False,
    weight_decay_diff_thres: float = 0.05,
    max_thres: float = 10,
    window: int = 50,
    warmup_steps: int = 0,
    warmup_lr: float = 0.01,
    evaluate_every_n_steps: int = 1,
    log_every_n_steps: int = 10,
    init_learning_rate: float | None = None,
    end_learning_rate: float | None = None,
    acc_name: str = 'accuracy',
    loss_name: str = 'loss',
    search_learning_rate: bool = True,
    param_spec: ParamSpec | None = None,
    param_list_spec: ParamSpec | None = None,
) -> ParamSpec:
    """Returns param_spec with the values of param_list_spec that did best, one parameter after the other.

    Each value is trained for total_steps from the same start and evaluated for evaluation_total_steps, by acc_name (by_acc) or
    loss_name in log_info. The learning rate is searched first: from init_learning_rate to end_learning_rate, by default from a
    hundredth to ten times param_spec's; search_learning_rate False leaves it as it is. input_fn, model_fn, optimizer_fn, batch_size,
    auto_batch, checkpoint_path: as in mox.run; the functions may take param_spec. How the original shortens its trials is of no effect: model_size, select_by_eval,
    weight_decay_diff_thres, max_thres, window, warmup_steps, warmup_lr, evaluate_every_n_steps, log_every_n_steps.

    Raises ArgumentTypeError when param_spec or param_list_spec is no ParamSpec, InvalidArgumentError when log_info lacks the metric,
    Error when every training with a parameter's values diverged.
    """
