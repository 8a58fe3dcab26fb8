"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.keys` gives; not to be changed by hand."""
from typing import Literal

class ExportKeys:
    """What run's export_model takes."""
    TF_SERVING: Literal['TF_SERVING']

class ModeKeys:
    """The modes of run, and the one in which model_fn is built for the exported model."""
    EVAL: Literal['EVAL']
    EXPORT: Literal['EXPORT']
    PREDICT: Literal['PREDICT']
    TRAIN: Literal['TRAIN']
