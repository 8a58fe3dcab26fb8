"""Made by scripts/stubs.py of what `import moxing.errors` gives; not to be changed by hand."""

class Error(Exception):
    """The root: catch this to catch everything that MoXing reports."""

class DataError(Error):
    """Data that was read is broken: wrong magic, truncated, bad checksum, label out of range."""

class OutOfRangeError(Error):
    """The input ended while a hook ran a part of the graph; hooks see tf.errors.OutOfRangeError."""

class InvalidArgumentError(Error, ValueError):
    """Something wrong was passed: a flag, a field, a name, a shape. Nothing was started."""

class PastEndError(OutOfRangeError):
    """What a hook ran read past an end that is not the run's input: an iterator of model_fn, a file, a queue."""

class RunError(Error, RuntimeError):
    """The run failed after it had started: a kernel, a non-finite loss."""

class NotFoundError(Error, FileNotFoundError):
    """A file, checkpoint or data set that must be there is not."""

class UnsupportedError(Error, NotImplementedError):
    """This version of MoXing cannot do what was asked for. Nothing was started."""

class ArgumentTypeError(InvalidArgumentError, TypeError):
    """An argument has the wrong type."""
