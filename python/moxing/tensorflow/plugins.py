"""Libraries that add networks, optimizers, data sets, preprocessing and file systems: docs/adding.md."""
from moxing._arguments import PathText, checked
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.nets import note_network_keys
from moxing.tensorflow.preprocessing import note_preprocessing_keys


@checked
def load_plugin(path: PathText()) -> None:
    """Loads the library `path`, which registers what it brings; nothing when it is loaded already.

    Raises InvalidArgumentError for one of another version of MoXing, and for a name that is taken. Those of the environment's MOX_PLUGINS are loaded when moxing.tensorflow is imported.
    """
    engine.load_plugin(path)
    note_network_keys()
    note_preprocessing_keys()
