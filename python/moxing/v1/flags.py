"""tf.flags, tf.app and absl.flags: a script's flags beside MoXing's own and absl's."""
import sys

import absl.app
import absl.logging
from absl import flags as absl_flags

from moxing.v1.view import View

# What absl or TensorFlow define a script may define anew.
_FOREIGN = ("absl", "tensorflow", "tensorboard")
_RENAMED_ARGUMENTS = {"flag_name": "name", "default_value": "default", "docstring": "help"}

absl_flags.disclaim_key_flags()  # absl asks who defines a flag: the script, not this module


class Flags:
    """FLAGS of a script: parsed when one of them is read; what nobody knows is left alone, as tf.app.run does."""

    def __init__(self, command_line):
        vars(self)["_command_line"] = command_line

    def _parse_flags(self):
        """Scripts before TensorFlow 1.5 call it."""
        self(sys.argv)

    def __call__(self, argv=None, known_only=True):
        argv = sys.argv if argv is None else argv
        return absl_flags.FLAGS(self._command_line.for_absl(argv, absl_flags.FLAGS), known_only)

    def _parsed(self):
        if not absl_flags.FLAGS.is_parsed():
            self(sys.argv)
        return absl_flags.FLAGS

    def __getattr__(self, name):
        if name.startswith("__") and name not in ("__flags", "__parsed"):
            raise AttributeError(name)
        if name == "__flags":
            return self._parsed().flag_values_dict()
        if name == "__parsed":
            return absl_flags.FLAGS.is_parsed()
        # What reads values needs them parsed; what only manages flags does not.
        reads = name in absl_flags.FLAGS or name in ("flag_values_dict", "flags_into_string")
        return getattr(self._parsed() if reads else absl_flags.FLAGS, name)

    def __setattr__(self, name, value):
        setattr(self._parsed(), name, value)

    def __delattr__(self, name):
        delattr(absl_flags.FLAGS, name)

    def __getitem__(self, name):
        return absl_flags.FLAGS[name]

    def __setitem__(self, name, flag):
        absl_flags.FLAGS[name] = flag

    def __contains__(self, name):
        return name in absl_flags.FLAGS

    def __iter__(self):
        return iter(absl_flags.FLAGS)

    def __len__(self):
        return len(absl_flags.FLAGS)

    def __dir__(self):
        return dir(absl_flags.FLAGS)

    def __repr__(self):
        return repr(absl_flags.FLAGS)

    __str__ = __repr__


class _AbslsOwn:
    """FLAGS as absl itself reads them: where the script defines one of its flags anew, still absl's."""

    def __init__(self, flags):
        vars(self).update(_flags=flags, replaced={})

    def __getitem__(self, name):
        return self.replaced[name] if name in self.replaced else self._flags[name]

    def __getattr__(self, name):
        return self.replaced[name].value if name in self.replaced else getattr(self._flags, name)

    def __setattr__(self, name, value):
        if name in self.replaced:
            self.replaced[name].value = value
        else:
            setattr(self._flags, name, value)

    def __contains__(self, name):
        return name in self._flags

    def __call__(self, *args, **kwargs):
        return self._flags(*args, **kwargs)


absl.app.FLAGS = absl.logging.FLAGS = _AbslsOwn(absl_flags.FLAGS)


def _give_way(name):
    """A script may use names of absl's own flags: log_dir, verbosity, …"""
    flags = absl_flags.FLAGS
    if name in flags and (flags.find_module_defining_flag(name) or "").partition(".")[0] in _FOREIGN:
        absl.logging.FLAGS.replaced.setdefault(name, flags[name])
        flags[name].allow_override = True


def _parse_late(name, command_line):
    """Of a flag that is defined when the others are parsed; what the script has set since stays."""
    if absl_flags.FLAGS.is_parsed():
        alone = absl_flags.FlagValues()
        alone[name] = absl_flags.FLAGS[name]
        alone.set_gnu_getopt(True)
        alone(command_line.for_absl(sys.argv, alone), known_only=True)


def _defining(define, command_line):
    def define_flag(*args, **kwargs):
        kwargs = {_RENAMED_ARGUMENTS.get(key, key): value for key, value in kwargs.items()}
        name = args[0] if args else kwargs.get("name")
        _give_way(name)
        holder = define(*args, **kwargs)
        _parse_late(name, command_line)
        return holder

    return define_flag


def flags_view(name, command_line, real, flags):
    """`real`: the module behind it."""
    provided = {key: _defining(getattr(absl_flags, key), command_line) for key in dir(absl_flags)
                if key.startswith("DEFINE_") and key not in ("DEFINE_flag", "DEFINE_alias", "DEFINE_multi")}
    return View(name, {**provided, "FLAGS": flags}, [real])


def app_view(name, command_line, real, flags):
    """run() of TensorFlow leaves flags that nobody knows alone, absl's refuses them."""
    def run(main=None, argv=None, **kwargs):
        main = main or sys.modules["__main__"].main
        argv = command_line.for_absl(sys.argv if argv is None else argv, absl_flags.FLAGS)
        return real.run(main=main, argv=argv, **kwargs)

    return View(name, {"run": run, "flags": flags}, [real])
