"""The words that run takes."""
__all__ = ["ExportKeys", "ModeKeys"]


class ModeKeys:
    """The modes of run, and the one in which model_fn is built for the exported model."""

    TRAIN = "TRAIN"
    EVAL = "EVAL"
    PREDICT = "PREDICT"
    EXPORT = "EXPORT"  # used by MoXing when it builds model_fn for the exported model


class ExportKeys:
    """What run's export_model takes."""

    TF_SERVING = "TF_SERVING"
