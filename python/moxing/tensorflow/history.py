"""The figures of a run, for tables and plots."""
import json
from typing import TYPE_CHECKING

from moxing._arguments import PathText, checked
from moxing.errors import NotFoundError
from moxing.tensorflow._runtime import tf

if TYPE_CHECKING:
    import pandas


def _logged(folder):
    """[(global step, {name: value})] of log.jsonl. A line that a killed run left half is no line."""
    path = folder + "/log.jsonl"
    if not tf.io.gfile.exists(path):
        return
    with tf.io.gfile.GFile(path) as file:
        for line in file:
            try:
                values = json.loads(line)
            except ValueError:
                continue
            step = values.pop("global_step")
            yield step, {name: value for name, value in values.items() if name not in ("time", "step")}


def _summarized(folder):
    for path in sorted(tf.io.gfile.glob(folder + "/events.out.tfevents.*")):
        try:
            for event in tf.train.summary_iterator(path):
                values = {value.tag: value.simple_value for value in event.summary.value if value.HasField("simple_value")}
                if values:
                    yield event.step, values
        except tf.errors.DataLossError:  # the end that a killed run left
            pass


@checked
def history(log_dir: PathText()) -> "pandas.DataFrame":
    """What a run logged and summarized in log_dir, a pandas DataFrame: a row a global step, a column a name.

    `history(log_dir)["loss"].plot()` draws a curve. Steps that were run anew after a restart have their last values.

    Raises NotFoundError when log_dir has neither log.jsonl nor events with figures; ImportError without pandas.
    """
    import pandas
    rows = {}
    for step, values in [*_summarized(log_dir), *_logged(log_dir)]:
        rows.setdefault(step, {}).update(values)
    if not rows:
        raise NotFoundError(f"log_dir '{log_dir}' has neither log.jsonl nor events with figures: give the log_dir of a training")
    frame = pandas.DataFrame.from_dict(rows, orient="index").sort_index()
    frame.index.name = "global_step"
    return frame
