"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.run` gives; not to be changed by hand."""
from collections.abc import Callable, Sequence
from typing import Any, Literal
import dataclasses
import os

@dataclasses.dataclass
class RunResult:
    """What run returns."""
    steps: int
    global_step: int
    metrics: dict[str, float]
    checkpoint: str
    export_dir: str
    validation: dict[str, float]
    best_validation: tuple[str, float, int] | None = ...

def run(
    input_fn: Callable[..., Any] | None = None,
    output_fn: Callable[..., Any] | None = None,
    model_fn: Callable[..., Any] | None = None,
    optimizer_fn: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    run_mode: str = 'invalid',
    inter_mode: str | None = None,
    batch_size: int | None = None,
    auto_batch: bool | None = True,
    log_dir: str | bytes | os.PathLike[Any] | None = None,
    max_number_of_steps: int | None = 0,
    checkpoint_path: str | bytes | os.PathLike[Any] | None = None,
    log_every_n_steps: int | None = 10,
    output_every_n_steps: int | None = 0,
    save_summary_steps: int | None = 100,
    save_model_secs: float | None = None,
    export_model: Literal['TF_SERVING', False] | None = False,
    fetch_strategy_fn: Callable[..., Any] | None = None,
    save_model_steps: int | None = None,
    keep_best: str | None = None,
    keep_best_mode: Literal['auto', 'max', 'min'] | None = 'auto',
    save_histogram_steps: int | None = 0,
    keep_checkpoint_max: int | None = 5,
    trace_step: int | None = None,
    stall_report_secs: float | None = None,
    random_seed: int | None = 0,
    freeze: str | None = None,
    finetune: str | bytes | os.PathLike[Any] | None = None,
    model_ema: float | None = 0,
    use_ema: bool | None = False,
    num_epochs: float | None = 0,
    samples_per_epoch: int | None = 0,
    eval_every_n_epochs: int | None = 0,
    eval_every_n_steps: int | None = 0,
    eval_steps: int | None = 0,
    eval_monitor: str | None = None,
    early_stopping_patience: int | None = 0,
    plateau_patience: int | None = 0,
    plateau_factor: float | None = 0.1,
    log_mean: bool | None = False,
    log_format: Literal['manual', 'short'] | None = 'manual',
    moving_average_ramp: bool | None = False,
    progress: bool | None = None,
) -> RunResult:
    """Runs to the end and returns a RunResult.

    Raises InvalidArgumentError (a ValueError) before anything starts when an argument, or what a function returned, does
    not fit; RunError when the run fails later. What a user's function raises comes out as it is. SIGINT and SIGTERM end
    the run after a checkpoint.

    fetch_strategy_fn(step, planned) is called before each step with its number in this run, and the set of what the
    …_n_steps arguments planned for it: 'log_info', 'summaries', 'output_info'. It returns the names of what the step
    fetches, or None for what was planned.

    progress: a progress bar (tqdm); by default in notebooks that have it.

        input_fn: needed: gives the tensors of one sample, or of one batch with auto_batch=false
        output_fn: gets output_info; needed in PREDICT
        model_fn: needed: called once a device, with that device's batch
        optimizer_fn: needed in TRAIN: one, or a list, one a loss
        run_mode: what the run does; needed in Python
        inter_mode: TRAIN: a second graph on the same variables, for hooks that evaluate
        batch_size: samples a device and step
        auto_batch: input_fn returns single samples; false: it returns batches
        log_dir: folder for checkpoints, events, logs and exported models; without it TRAIN saves nothing
        max_number_of_steps: steps of this worker, over restarts in TRAIN
        checkpoint_path: folder or checkpoint to start from, when log_dir has none
        log_every_n_steps: steps between lines of the log
        output_every_n_steps: steps between calls of output_fn in TRAIN and EVAL; in PREDICT 0 is every step
        save_summary_steps: TRAIN: steps between summaries in the events
        save_model_secs: seconds between checkpoints, 0: none; wins over steps; 600 with neither given
        export_model: TF_SERVING: export the model after the run
        fetch_strategy_fn: decides what each step fetches, instead of the ..._n_steps
        save_model_steps: steps between checkpoints, 0: none
        keep_best: TRAIN: a name in log_info (loss or accuracy in mox train). The checkpoint at which it was best (the
            mean of what was logged since the one before; of a validation where there is one, which is saved then) stays,
            too; best_checkpoint.json in log_dir names it
        keep_best_mode: which keep_best is the best; auto: min for names with loss or err in them, else max
        save_histogram_steps: TRAIN: steps between histograms of the variables in the events
        keep_checkpoint_max: older checkpoints are removed
        trace_step: this step's timeline goes to log_dir/timeline-N.json, its costliest operations to the log
        stall_report_secs: a line as often as a step has waited that long for its input; not given: the flag of this name
        random_seed: of initial values, order and dropout; 0: another one in every run
        freeze: TRAIN: variables that match one are not trained; moving averages of batch norm follow the data all the
            same
        finetune: TRAIN: folder or checkpoint of another training, when log_dir has none: what fits the model is loaded
            (without optimizer and step), what has another shape begins anew; finetune.txt in log_dir has the names
        model_ema: TRAIN: decay, below 1, of exponential moving averages of the variables, which are kept beside them;
            use_ema takes them
        use_ema: the averages of model_ema in place of the variables: EVAL and PREDICT load them, TRAIN validates and
            exports them
        num_epochs: TRAIN: passes through the data, over restarts and all workers; with max_number_of_steps whichever is
            first
        samples_per_epoch: samples of one pass through the data, over all workers; needed by num_epochs and
            eval_every_n_epochs
        eval_every_n_epochs: TRAIN: epochs between validations: input_fn and model_fn of mode EVAL on the weights as they
            are, and once more at the end
        eval_every_n_steps: the same with steps in between, of the global step
        eval_steps: most batches of one validation
        eval_monitor: what early stopping and plateaus look at; not given: keep_best, else loss, else the first
        early_stopping_patience: validations without gain after which the training ends
        plateau_patience: validations without gain after which the learning rate is multiplied by plateau_factor
        plateau_factor: of the learning rate at a plateau; more than 0 and less than 1
        log_mean: TRAIN: log_info in the log's lines is the mean over the steps since the line before; false: of that step
        log_format: of the log's lines; manual: both step numbers, of the run and of the model; short: the model's alone,
            with epoch and learning rate
        moving_average_ramp: TRAIN: moving averages of batch norm cover the last twentieth of the steps so far, until
            their own decay is the slower one: what is evaluated early is what the network has learned
    """
