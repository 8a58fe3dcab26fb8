"""The command line of `mox convert` and `python -m moxing.convert`."""
import argparse
import sys

from moxing.errors import Error, InvalidArgumentError

_DESCRIPTION = """\
Makes a checkpoint of ours from weights that another library trained:

  .h5, .weights.h5, .keras        keras.applications: ResNet50/101/152 and V2, MobileNet, MobileNetV2, VGG16/19, InceptionV3,
                                  InceptionResNetV2, NASNetMobile/Large
  .safetensors, .pth, .pt         torchvision, timm: ResNet 18 to 152, VGG 11/16/19 with and without batch normalization
  a checkpoint's prefix, .ckpt    TF-slim, also its old single files: all networks of `mox nets`
"""
_EPILOG = """\
Examples:
  mox convert resnet50-0676ba61.pth s3://bucket/resnet50
  mox predict --checkpoint_url=s3://bucket/resnet50 picture.jpg
  mox convert mobilenet_1_0_224_tf_no_top.h5 start --num_classes=5

Files are read here: no library of theirs is needed, but h5py for Keras, and nothing in a file is executed.
docs/networks.md lists what becomes what, and where weights can be got.
"""
_SHOWN = 5


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        sys.stderr.write(f"mox convert: {message}\n`mox convert --help` tells more.\n")
        sys.exit(2)


def _parser():
    parser = _Parser(prog="mox convert", usage="mox convert WEIGHTS TRAIN_URL [OPTIONS]", description=_DESCRIPTION, epilog=_EPILOG,
                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("weights", metavar="WEIGHTS", help="the file of weights; also s3://")
    parser.add_argument("train_url", metavar="TRAIN_URL", help="the folder to write, for --checkpoint_url; also s3://")
    parser.add_argument("--model_name", metavar="NAME", help="the network; needed only where its variables do not tell (TF-slim)")
    parser.add_argument("--num_classes", metavar="N", type=int, help="classes to be trained anew; default: those of the file")
    parser.add_argument("--rgb", action="store_true",
                        help="the network of Keras was trained on red, green, blue, not with its preprocess_input")
    return parser


def _some(names):
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def main(arguments):
    options = vars(_parser().parse_args(arguments))
    try:
        from moxing.convert import convert_weights
    except ImportError as e:
        lacks = f"lacks {e.name}: {e}" if e.name else f"cannot convert: {e}"  # ours tells what to install
        sys.stderr.write(f"mox convert: the Python {sys.executable} {lacks}. Install it there (TensorFlow brings all but h5py), or name the Python "
                         "that has it in MOX_PYTHON\n")
        sys.exit(1)
    try:
        made = convert_weights(**options)
    except Error as e:
        sys.stderr.write(f"mox convert: {e}\n")
        sys.exit(2 if isinstance(e, InvalidArgumentError) else 1)
    print(f"{made.model_name}, {made.num_classes} classes: {made.variables} variables of {made.source} -> {made.checkpoint}")
    if made.difference:
        print(f"note: {made.difference}")
    if made.new_variables:
        print(f"not in the file, of initial values: {_some(made.new_variables)}")
    if made.left_over:
        print(f"in the file, not used: {_some(made.left_over)}")
