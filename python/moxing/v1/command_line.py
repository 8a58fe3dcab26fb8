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


class CommandLine:
    def __init__(self):
        self.taken = Taken()

    def hide_empty(self, names):
        """--num_gpus='' of the flags `names` means: as if it was not given."""
        kept = [word for word in sys.argv[1:] if not (word.startswith("--") and word.endswith("=") and word[2:-1] in names)]
        sys.argv[1:] = kept

    def for_absl(self, argv, flags):
        """argv as the flags that are defined now are to see it."""
        def is_empty(word):
            name = word[2:-1] if word.startswith("--") and word.endswith("=") else None
            return name in flags and flags[name].flag_type() in ("bool", "float", "int")

        return [word for word in argv if not is_empty(word)] + self.taken.of(lambda name: name in flags)

    def give_to_argparse(self):
        """parse_args of a script that has an option of MoXing's name finds it."""
        command_line = self
        parse = argparse.ArgumentParser.parse_known_args

        def parse_known_args(self, args=None, namespace=None):
            if args is None:
                args = sys.argv[1:] + command_line.taken.of(lambda name: "--" + name in self._option_string_actions)
            return parse(self, args, namespace)

        argparse.ArgumentParser.parse_known_args = parse_known_args
