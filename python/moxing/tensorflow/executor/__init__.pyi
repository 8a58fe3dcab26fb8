"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor` gives; not to be changed by hand."""
from moxing.tensorflow.executor.hooks import AggregativeSessionRunHook as AggregativeSessionRunHook
from moxing.tensorflow.executor.hooks import EarlyStoppingHook as EarlyStoppingHook
from moxing.tensorflow.executor.keys import ExportKeys as ExportKeys
from moxing.tensorflow.executor.specs import ExportSpec as ExportSpec
from moxing.tensorflow.executor.hooks import FeedSessionRunHook as FeedSessionRunHook
from moxing.tensorflow.executor.input import InputSpec as InputSpec
from moxing.tensorflow.executor.hooks import LogEvaluationMetricHook as LogEvaluationMetricHook
from moxing.tensorflow.executor.lr_find import LrFindResult as LrFindResult
from moxing.tensorflow.executor.keys import ModeKeys as ModeKeys
from moxing.tensorflow.executor.specs import ModelSpec as ModelSpec
from moxing.tensorflow.executor.hooks import PlateauLREarlyStoppingHook as PlateauLREarlyStoppingHook
from moxing.tensorflow.executor.run import RunResult as RunResult
from moxing.tensorflow.executor.encoded_images import encoded_images as encoded_images
from moxing.tensorflow.executor.scopes import get_collection as get_collection
from moxing.tensorflow.executor.flags import get_flag as get_flag
from moxing.tensorflow.executor.flags import get_help as get_help
from moxing.tensorflow.executor.lr_find import lr_find as lr_find
from moxing.tensorflow.executor.run import run as run
from moxing.tensorflow.executor.flags import set_flag as set_flag
from moxing.tensorflow.executor.scopes import var_scope as var_scope

