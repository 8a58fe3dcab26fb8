"""The command line of `mox script` and `python -m moxing.v1`."""
import os
import sys
import types

from moxing.v1 import source
from moxing.v1.finder import Finder
from moxing.v1.names import Names

_HELP = """\
Usage: mox script [--check] SCRIPT [ARGUMENTS…]       (also: python -m moxing.v1 …)

Runs a Python script that was written for TensorFlow 1 and MoXing, as it is: the script and the modules beside it see
tf.compat.v1 as `tensorflow`, with tf.contrib.slim, tf.flags, tf.app and tf.examples.tutorials.mnist. Nothing on disk is
changed. ARGUMENTS go to the script, MoXing's own flags (`mox flags`) among them; the exit code is the script's.

  --check      list what the script uses of TensorFlow, Keras and MoXing and what of it is missing; does not run it
  -h, --help   this text

Example:
  mox script train_mnist.py --data_url=s3://bucket/mnist --train_url=/tmp/mnist --num_gpus=2

MOX_PYTHON names the Python that `mox script` uses; else it is that of the active virtual environment, else python3.
docs/old_scripts.md tells what runs and what does not.
"""
_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")


def _fail(text):
    sys.stderr.write(f"mox script: {text}\n")
    sys.exit(2)


def _without_own_frames(traceback):
    """The frames of the script and of what it called: not those of this package."""
    frames = []
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not os.path.abspath(file).startswith(_HERE) and (frames or "runpy" not in file and file != "<string>"):
            frames.append(traceback)
        traceback = traceback.tb_next
    result = None
    for frame in reversed(frames):
        result = types.TracebackType(result, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return result


def _clean_exceptions():
    show = sys.excepthook

    def hook(kind, error, traceback):
        cause = error
        while cause is not None:
            cause.__traceback__ = _without_own_frames(cause.__traceback__)
            cause = cause.__cause__ or cause.__context__
        show(kind, error, error.__traceback__)

    sys.excepthook = hook


def run(script, arguments):
    """In this process, as `python script arguments` would; does not return in another state than that would leave."""
    with open(script, "rb") as file:
        data = file.read()
    _clean_exceptions()
    folder = os.path.dirname(os.path.realpath(script))
    sys.argv[:] = [script, *arguments]
    if getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, folder)
    else:
        sys.path[0] = folder  # where -m and -c put the working folder
    sys.maxint = sys.maxsize  # as Python 2 had it
    names = Names()
    sys.meta_path.insert(0, Finder(names))
    main = types.ModuleType("__main__")
    main.__file__ = os.path.abspath(script)
    main.__builtins__ = __builtins__
    names.prepare(vars(main))
    sys.modules["__main__"] = main
    exec(source.compiled(data, script, names.provides), vars(main))


def main(arguments):
    check = False
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        if option in ("-h", "--help"):
            sys.stdout.write(_HELP)
            return
        if option != "--check":
            _fail(f"unknown option '{option}' in front of the script; there are --check and --help")
        check = True
    if not arguments:
        sys.stderr.write(_HELP)
        sys.exit(2)
    script = arguments[0]
    if os.path.isdir(script):
        _fail(f"{script} is a folder; give the script in it")
    if not os.path.isfile(script):
        _fail(f"there is no script {script}" + ("; copy it here first: mox file cp" if "://" in script else ""))
    if script.endswith(".ipynb"):
        _fail(f"{script} is a notebook; save its cells as a script first: jupyter nbconvert --to script {script}")
    if check:
        from moxing.v1 import check as checker
        sys.exit(checker.main(script))
    run(script, arguments[1:])
