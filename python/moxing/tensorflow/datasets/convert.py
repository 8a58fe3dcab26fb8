"""Data sets on disk to other ones."""
from typing import Any, NamedTuple

from moxing._arguments import Integer, Number, PathText, Switch, Text, checked, shown, take
from moxing.errors import ArgumentTypeError
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import range_of


class ConvertSummary(NamedTuple):
    """What a conversion wrote."""

    samples: int
    files: int
    broken: int  # samples that were left out


_FOLDER = PathText()
_BROKEN = range_of("max_broken_samples")


def _parts(split_spec):
    """[(name, fraction)] of a dict, or of a list of pairs."""
    try:
        pairs = [(name, part) for name, part in (split_spec.items() if isinstance(split_spec, dict) else split_spec)]
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"split_image_classification_dataset: split_spec is {shown(split_spec)}, expected a dict such as "
                                "{'train': 0.8, 'eval': 0.2}") from None
    who = "split_image_classification_dataset: split_spec"
    return [(take(who, "a name", name, Text()), take(who, str(name), part, Number(0, 1))) for name, part in pairs]


@checked
def split_image_classification_dataset(split_spec: "dict[str, float] | Any", src_dir: _FOLDER, dst_dir: _FOLDER,
                                       overwrite: Switch() = False) -> "dict[str, int]":
    """Copies the class folders of src_dir to dst_dir/NAME/CLASS, one NAME a part; returns {NAME: images}.

    split_spec: {'train': 0.8, 'eval': 0.2}, or a list of such pairs. overwrite: parts that are there already may be replaced.

    Raises ArgumentTypeError for another split_spec, NotFoundError when src_dir is missing, InvalidArgumentError when a part is there
    already and overwrite is not given.
    """
    return engine.split_dataset(_parts(split_spec), src_dir, dst_dir, overwrite)


@checked
def folders_to_tfrecord(src_dir: _FOLDER, dst_dir: _FOLDER, prefix: Text() = "train", num_shards: Integer(0, engine.MAX_SHARDS) = 0,
                        max_broken_samples: _BROKEN = 0, shuffle: Switch() = True,
                        overwrite: Switch() = False) -> ConvertSummary:
    """Writes the class folders of src_dir to dst_dir, as TFRecord files such as TF-slim's, and labels.txt.

    prefix: of the files' names. num_shards: files; 0: one for each 128 MiB. max_broken_samples: so many images that cannot be read
    are left out, each with a line; one more is a DataError. shuffle: records in another order than the files. overwrite: files of
    that prefix may be replaced.
    """
    return ConvertSummary(*engine.folders_to_tfrecord(src_dir, dst_dir, prefix, num_shards, max_broken_samples, shuffle,
                                                      overwrite))


@checked
def tfrecord_to_folders(src_dir: _FOLDER, file_pattern: Text(), dst_dir: _FOLDER, max_broken_samples: _BROKEN = 0,
                        overwrite: Switch() = False) -> ConvertSummary:
    """Writes every record of the files of src_dir that match file_pattern as dst_dir/CLASS/NAME.

    max_broken_samples: so many records that cannot be read are left out; one more is a DataError. overwrite: dst_dir need not be
    empty; files of the same names are replaced. Raises NotFoundError when no file matches.
    """
    return ConvertSummary(*engine.tfrecord_to_folders(src_dir, file_pattern, dst_dir, max_broken_samples, overwrite))
