"""Runs jobs: run and what its arguments are made of."""
from moxing.tensorflow.executor.encoded_images import encoded_images
from moxing.tensorflow.executor.flags import get_flag, get_help, set_flag
from moxing.tensorflow.executor.hooks import (AggregativeSessionRunHook, EarlyStoppingHook, FeedSessionRunHook,
                                              LogEvaluationMetricHook, PlateauLREarlyStoppingHook)
from moxing.tensorflow.executor.input import InputSpec
from moxing.tensorflow.executor.keys import ExportKeys, ModeKeys
from moxing.tensorflow.executor.lr_find import LrFindResult, lr_find
from moxing.tensorflow.executor.run import RunResult, run
from moxing.tensorflow.executor.scopes import get_collection, var_scope
from moxing.tensorflow.executor.specs import ExportSpec, ModelSpec

__all__ = ["AggregativeSessionRunHook", "EarlyStoppingHook", "ExportKeys", "ExportSpec", "FeedSessionRunHook", "InputSpec",
           "LogEvaluationMetricHook", "LrFindResult", "ModeKeys", "ModelSpec", "PlateauLREarlyStoppingHook", "RunResult",
           "encoded_images", "get_collection", "get_flag", "get_help", "lr_find", "run", "set_flag", "var_scope"]
