"""The words of the command line that MoXing takes, and how the script's own parsers see the rest."""
import argparse
import sys


class Taken:
    """What MoXing took from the command line: flags of a script with the same name get the value, too."""

    def __init__(self):
        self._words = []  # (name, words)

    def note(self, before, after):
        """`before` without `after`, its subsequence, was taken."""
        left = list(after)
        for word in before:
            if left and word == left[0]:
                left.pop(0)
            elif word.startswith("-"):
                self._words.append((word.lstrip("-").partition("=")[0], [word]))
            elif self._words:
                self._words[-1][1].append(word)

    def of(self, is_defined):
        return [word for name, words in self._words if is_defined(name) for word in words]


_EMPTY = ("", "''", '""')  # the last two from launchers that quote without a shell


def _without_empty(words, is_meant):
    """Words without --name='' and --name '' of the flags that are meant: as if they were not given."""
    kept, skip = [], False
    for word, following in zip(words, [*words[1:], None]):
        if skip:
            skip = False
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and is_meant(name):
            if equals and value in _EMPTY:
                continue
            if not equals and following in _EMPTY:
                skip = True
                continue
        kept.append(word)
    return kept


# The manual's. Where one is on a command line that is parsed before TensorFlow is imported, MoXing must be loaded to take it.
_MANUALS = frozenset((
    "checkpoint_exclude_patterns", "checkpoint_include_patterns", "clone_on_cpu", "gradient_clip", "gradient_clip_type", "job_name",
    "log_first_clone", "loss_scale", "num_gpus", "num_inter_threads", "num_intra_threads", "ps_hosts", "running_log_level",
    "server_protocol", "session_timeout", "sync_replicas", "task_index", "trainable_exclude_patterns",
    "trainable_include_patterns", "use_fp16", "variable_update", "worker_hosts",
    # Of no effect now, and taken all the same.
    "chief_inc_global_step", "controller_host", "dgc_momentum", "dgc_momentum_factor_masking", "dgc_sparsity_strategy",
    "local_parameter_device", "min_size_in_kb", "num_prefetch_threads", "sync_before_server", "var_dtype", "var_mix_offset",
    "var_space_starter"))


class CommandLine:
    """`load` loads MoXing, which takes its flags; it is called once, and only where it must be."""

    def __init__(self, load):
        self.taken = Taken()
        self._load = load

    def take(self, is_defined):
        """Takes MoXing's flags now, if there are any that the script does not define."""
        names = {word.lstrip("-").partition("=")[0] for word in sys.argv[1:] if word.startswith("--")}
        if any(not is_defined(name) for name in names & _MANUALS):
            self._load()

    def hide_empty(self, names):
        """An empty flag out of `names` means its default."""
        sys.argv[1:] = _without_empty(sys.argv[1:], names.__contains__)

    def for_absl(self, argv, flags):
        """argv as the flags that are defined now are to see it."""
        def is_number(name):
            return name in flags and flags[name].flag_type() in ("bool", "float", "int")

        if argv is sys.argv:
            self.take(lambda name: name in flags)
        words = _without_empty(argv[1:], is_number)
        return [*argv[:1], *self.taken.of(lambda name: name in flags), *words]

    def give_to_argparse(self):
        """parse_args of a script that has an option of MoXing's name finds it."""
        command_line = self
        parse = argparse.ArgumentParser.parse_known_args

        def parse_known_args(self, args=None, namespace=None):
            if args is None:
                command_line.take(lambda name: "--" + name in self._option_string_actions)
                args = sys.argv[1:] + command_line.taken.of(lambda name: "--" + name in self._option_string_actions)
            return parse(self, args, namespace)

        argparse.ArgumentParser.parse_known_args = parse_known_args
