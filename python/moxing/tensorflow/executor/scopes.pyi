"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.scopes` gives; not to be changed by hand."""
from typing import Any
import contextlib

def get_collection(key: Any) -> list[Any]:
    """What this device's model_fn added to the collection `key` (tf.GraphKeys.UPDATE_OPS, …); variables: all of them."""

def var_scope(force_dtype: Any = None) -> contextlib.AbstractContextManager[None]:
    """`with mox.var_scope(force_dtype=tf.float32):` — floating point variables made inside have force_dtype; the code that asks for
    them gets a cast to its own dtype. None: nothing changes.

    Raises ArgumentTypeError and InvalidArgumentError for what is no floating point type.
    """
