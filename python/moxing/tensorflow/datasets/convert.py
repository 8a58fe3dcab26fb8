"""Data sets on disk to other ones."""
import collections

from moxing._arguments import Integer, Number, PathText, Switch, Text, checked, shown, take
from moxing.errors import ArgumentTypeError
from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import range_of

ConvertSummary = collections.namedtuple("ConvertSummary", ["samples", "files", "broken"])


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
def split_image_classification_dataset(split_spec, src_dir: _FOLDER, dst_dir: _FOLDER, overwrite: Switch() = False):
    """Copies class folders to dst_dir/NAME/CLASS, one NAME a part: {'train': 0.8, 'eval': 0.2}. Returns {NAME: images}."""
    return engine.split_dataset(_parts(split_spec), src_dir, dst_dir, overwrite)


@checked
def folders_to_tfrecord(src_dir: _FOLDER, dst_dir: _FOLDER, prefix: Text() = "train", num_shards: Integer(0, engine.MAX_SHARDS) = 0,
                        max_broken_samples: _BROKEN = 0, shuffle: Switch() = True, overwrite: Switch() = False):
    """Class folders to TFRecord files as TF-slim writes them, and labels.txt. num_shards 0: one for each 128 MiB."""
    return ConvertSummary(*engine.folders_to_tfrecord(src_dir, dst_dir, prefix, num_shards, max_broken_samples, shuffle,
                                                      overwrite))


@checked
def tfrecord_to_folders(src_dir: _FOLDER, file_pattern: Text(), dst_dir: _FOLDER, max_broken_samples: _BROKEN = 0,
                        overwrite: Switch() = False):
    """The other way: every record becomes dst_dir/CLASS/NAME."""
    return ConvertSummary(*engine.tfrecord_to_folders(src_dir, file_pattern, dst_dir, max_broken_samples, overwrite))
