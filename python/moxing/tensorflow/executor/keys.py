"""The words that run takes."""


class ModeKeys:
    TRAIN = "TRAIN"
    EVAL = "EVAL"
    PREDICT = "PREDICT"
    EXPORT = "EXPORT"  # used by MoXing when it builds model_fn for the exported model


class ExportKeys:
    TF_SERVING = "TF_SERVING"
