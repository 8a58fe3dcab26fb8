"""MoXing's flags as attributes, as scripts for the original read them."""
from moxing.tensorflow.executor.flags import get_flag, get_help, set_flag


class _MoxFlags:
    """mox_flags.num_gpus is mox.get_flag('num_gpus'), and can be assigned to."""

    @staticmethod
    def get_help():
        """What mox.get_help says."""
        return get_help()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return get_flag(name)

    def __setattr__(self, name, value):
        set_flag(name, value)


mox_flags = _MoxFlags()
