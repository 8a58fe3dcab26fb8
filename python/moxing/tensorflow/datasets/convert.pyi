"""Made by scripts/stubs.py of what `import moxing.tensorflow.datasets.convert` gives; not to be changed by hand."""
from typing import Any, NamedTuple
import os

class ConvertSummary(NamedTuple):
    """What a conversion wrote."""
    samples: int
    files: int
    broken: int

def folders_to_tfrecord(
    src_dir: str | bytes | os.PathLike[Any],
    dst_dir: str | bytes | os.PathLike[Any],
    prefix: str = 'train',
    num_shards: int = 0,
    max_broken_samples: int = 0,
    shuffle: bool = True,
    overwrite: bool = False,
) -> ConvertSummary:
    """Writes the class folders of src_dir to dst_dir, as TFRecord files such as TF-slim's, and labels.txt.

    prefix: of the files' names. num_shards: files; 0: one for each 128 MiB. max_broken_samples: so many images that cannot be read
    are left out, each with a line; one more is a DataError. shuffle: records in another order than the files. overwrite: files of
    that prefix may be replaced.
    """

def split_image_classification_dataset(
    split_spec: dict[str, float] | Any,
    src_dir: str | bytes | os.PathLike[Any],
    dst_dir: str | bytes | os.PathLike[Any],
    overwrite: bool = False,
) -> dict[str, int]:
    """Copies the class folders of src_dir to dst_dir/NAME/CLASS, one NAME a part; returns {NAME: images}.

    split_spec: {'train': 0.8, 'eval': 0.2}, or a list of such pairs. overwrite: parts that are there already may be replaced.

    Raises ArgumentTypeError for another split_spec, NotFoundError when src_dir is missing, InvalidArgumentError when a part is there
    already and overwrite is not given.
    """

def tfrecord_to_folders(
    src_dir: str | bytes | os.PathLike[Any],
    file_pattern: str,
    dst_dir: str | bytes | os.PathLike[Any],
    max_broken_samples: int = 0,
    overwrite: bool = False,
) -> ConvertSummary:
    """Writes every record of the files of src_dir that match file_pattern as dst_dir/CLASS/NAME.

    max_broken_samples: so many records that cannot be read are left out; one more is a DataError. overwrite: dst_dir need not be
    empty; files of the same names are replaced. Raises NotFoundError when no file matches.
    """
