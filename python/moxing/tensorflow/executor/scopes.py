"""Variables and collections of the device whose model_fn is being called."""
import contextlib
from typing import Any

from moxing._arguments import shown
from moxing.errors import ArgumentTypeError, InvalidArgumentError
from moxing.tensorflow._graph_state import state_of
from moxing.tensorflow._runtime import tf

# What all devices share. Every other collection belongs to the device that adds to it.
_SHARED = frozenset([
    tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.TRAINABLE_VARIABLES, tf.GraphKeys.LOCAL_VARIABLES,
    tf.GraphKeys.MODEL_VARIABLES, tf.GraphKeys.METRIC_VARIABLES, tf.GraphKeys.MOVING_AVERAGE_VARIABLES,
    tf.GraphKeys.GLOBAL_STEP, tf.GraphKeys.TABLE_INITIALIZERS, tf.GraphKeys.ASSET_FILEPATHS, tf.GraphKeys.SAVERS,
])


def get_collection(key: "Any") -> "list[Any]":
    """What this device's model_fn added to the collection `key` (tf.GraphKeys.UPDATE_OPS, …); variables: all of them."""
    try:
        hash(key)
    except TypeError:
        raise ArgumentTypeError(f"get_collection: key is {shown(key)}, expected the name of a collection") from None
    return tf.get_collection(key)


@contextlib.contextmanager
def tower_collections(graph, tower, shared_losses, device):
    """Inside, tf.get_collection and its users (tf.losses.get_total_loss) see what this tower adds.

    `shared_losses`: regularization losses of variables that the first tower created and this one reuses.
    """
    others = {}
    for key in graph.get_all_collection_keys():
        if key not in _SHARED:
            others[key] = list(graph.get_collection_ref(key))
            graph.clear_collection(key)
    for loss in shared_losses:
        graph.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, loss)
    state_of(graph).tower, state_of(graph).device = tower, device
    try:
        yield
    finally:
        state_of(graph).tower, state_of(graph).device = 0, ""
        for key, values in others.items():
            own = graph.get_collection_ref(key)
            known = {id(value) for value in values}
            own[:] = values + [value for value in own if id(value) not in known]


def _forcing_getter(force_dtype):
    def forced(getter, name, dtype=None, initializer=None, **kwargs):
        from_tensor = tf.is_tensor(initializer)
        asked = tf.as_dtype(initializer.dtype if from_tensor else dtype or tf.float32)
        if not asked.is_floating or asked == force_dtype:
            return getter(name, dtype=dtype, initializer=initializer, **kwargs)
        if from_tensor:
            initializer = tf.cast(initializer, force_dtype)
        return tf.cast(getter(name, dtype=force_dtype, initializer=initializer, **kwargs), asked, name="Cast")

    return forced


@contextlib.contextmanager
def var_scope(force_dtype: "Any" = None) -> "contextlib.AbstractContextManager[None]":
    """`with mox.var_scope(force_dtype=tf.float32):` — floating point variables made inside have force_dtype; the code that asks for
    them gets a cast to its own dtype. None: nothing changes.

    Raises ArgumentTypeError and InvalidArgumentError for what is no floating point type.
    """
    if force_dtype is None:
        yield
        return
    try:
        dtype = tf.as_dtype(force_dtype)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"var_scope: force_dtype is {shown(force_dtype)}, expected a floating point type") from None
    if not dtype.is_floating:
        raise InvalidArgumentError(f"var_scope: force_dtype is {dtype.name}, expected a floating point type")
    state = state_of()
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=_forcing_getter(dtype), auxiliary_name_scope=False):
        state.force_dtypes.append(dtype)
        try:
            yield
        finally:
            state.force_dtypes.pop()
