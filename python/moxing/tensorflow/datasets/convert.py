"""Data sets on disk to other ones."""
import collections

from moxing.tensorflow._runtime import engine
from moxing.tensorflow.datasets._options import path_of

ConvertSummary = collections.namedtuple("ConvertSummary", ["samples", "files", "broken"])


def _folders(src_dir, dst_dir):
    return path_of("src_dir", src_dir), path_of("dst_dir", dst_dir)


def split_image_classification_dataset(split_spec, src_dir, dst_dir, overwrite=False):
    """Copies class folders to dst_dir/NAME/CLASS, one NAME a part: {'train': 0.8, 'eval': 0.2}. Returns {NAME: images}."""
    pairs = split_spec.items() if isinstance(split_spec, dict) else split_spec
    return engine.split_dataset([(name, float(part)) for name, part in pairs], *_folders(src_dir, dst_dir), overwrite)


def folders_to_tfrecord(src_dir, dst_dir, prefix="train", num_shards=0, max_broken_samples=0, shuffle=True,
                        overwrite=False):
    """Class folders to TFRecord files as TF-slim writes them, and labels.txt. num_shards 0: one for each 128 MiB."""
    return ConvertSummary(*engine.folders_to_tfrecord(*_folders(src_dir, dst_dir), prefix, num_shards, max_broken_samples, shuffle,
                                                      overwrite))


def tfrecord_to_folders(src_dir, file_pattern, dst_dir, max_broken_samples=0, overwrite=False):
    """The other way: every record becomes dst_dir/CLASS/NAME."""
    return ConvertSummary(*engine.tfrecord_to_folders(path_of("src_dir", src_dir), file_pattern,
                                                      path_of("dst_dir", dst_dir), max_broken_samples, overwrite))
