"""What importing does, and does not do."""
import subprocess
import sys

import pytest


def python(code, *args):
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)


def test_moxing_loads_no_tensorflow_and_prints_nothing():
    done = python("import sys, moxing; assert 'tensorflow' not in sys.modules; assert 'numpy' not in sys.modules")
    assert done.stdout == done.stderr == ""


def test_the_version_is_told():
    done = python("import moxing, sys; print(moxing.__version__, 'tensorflow' in sys.modules)\n"
                  "import moxing.tensorflow as mox; print(mox.__version__)")
    first, second = done.stdout.splitlines()
    assert first == f"{second} False" and second.count(".") == 2


@pytest.mark.parametrize("module", ["moxing", "moxing.tensorflow"])
def test_the_root_logger_stays_as_it_is(module):
    done = python(f"import logging; root = logging.getLogger(); before = root.level, list(root.handlers)\nimport {module}\n"
                  "assert (root.level, list(root.handlers)) == before")
    assert done.stdout == done.stderr == ""


def test_module_paths_of_scripts():
    python("import moxing.tensorflow as mox\n"
           "from moxing.tensorflow.executor import run, ModeKeys, ModelSpec, ExportSpec, ExportKeys, get_flag, set_flag\n"
           "from moxing.tensorflow.executor import get_collection, var_scope\n"
           "from moxing.tensorflow.optimizer import learning_rate_scheduler, get_optimizer_fn\n"
           "from moxing.tensorflow.optimizer.learning_rate_scheduler import piecewise_lr\n"
           "from moxing.tensorflow.nets import get_model_fn\n"
           "from moxing.tensorflow.preprocessing import get_data_augmentation_fn\n"
           "from moxing.tensorflow.datasets import get_dataset\n"
           "assert mox.run is run and mox.learning_rate_scheduler is learning_rate_scheduler")


def test_module_paths_of_older_scripts():
    done = python("from moxing.framework.util import compat\n"
                  "print(compat.as_str(b'a'), compat.as_bytes('b'), compat.as_str_any(3))\n"
                  "from moxing.tensorflow.utils import tf_util\n"
                  "from moxing.tensorflow.utils.hyper_param_flags import mox_flags\n"
                  "from moxing.tensorflow.datasets.tfrecord.tfrecord_common import BaseTFRecordDataset, get_tfrecord\n"
                  "import moxing.tensorflow as mox\n"
                  "mox_flags.num_gpus = 3\n"
                  "print(tf_util.version_info() >= (2, 21, 0), mox.get_flag('num_gpus'), mox_flags.loss_scale)\n"
                  "assert mox.BaseTFRecordDataset is BaseTFRecordDataset and mox.get_tfrecord is get_tfrecord")
    assert done.stdout == "a b'b' 3\nTrue 3 1.0\n"


def test_less_log_level_prints_no_more():
    """Scripts set TF_CPP_MIN_LOG_LEVEL to hear less, not TensorFlow's notes on its start."""
    done = python("import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\nimport moxing.tensorflow")
    assert done.stdout == done.stderr == ""


def test_flags_leave_the_command_line_to_the_script():
    done = python("import sys, moxing.tensorflow as mox; print(mox.get_flag('num_gpus'), mox.get_flag(flag_name='loss_scale'), sys.argv[1:])",
                  "--num_gpus=2", "--mine=1", "--loss_scale", "8", "rest")
    assert done.stdout == "2 8.0 ['--mine=1', 'rest']\n"


def test_a_wrong_flag_names_itself():
    done = subprocess.run([sys.executable, "-c", "import moxing.tensorflow", "--num_gpus=many"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "flag --num_gpus: got 'many'" in done.stderr
