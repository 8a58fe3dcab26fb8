"""Made by scripts/stubs.py of what `import moxing.tensorflow.history` gives; not to be changed by hand."""
from typing import Any
import os
import pandas

def history(log_dir: str | bytes | os.PathLike[Any]) -> pandas.DataFrame:
    """What a run logged and summarized in log_dir, a pandas DataFrame: a row a global step, a column a name.

    `history(log_dir)["loss"].plot()` draws a curve. Steps that were run anew after a restart have their last values.

    Raises NotFoundError when log_dir has neither log.jsonl nor events with figures; ImportError without pandas.
    """
