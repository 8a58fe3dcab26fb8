"""What scripts for the original lean on, in the ways that public ones do: older names and arguments, flags of no effect, hooks."""
import importlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy

NAMES = ["moxing:cache", "moxing:file.file_io", "moxing:file.background_sync_copy", "moxing.framework.file:file_io._LARGE_FILE_METHOD",
         "moxing.framework.file.file_io:_NUMBER_OF_PROCESSES", "moxing.framework.util:compat.as_str", "moxing.framework.util.runtime:reset_logger",
         "moxing.framework.common:task_enum.is_task_imgcls", "moxing.tensorflow:cache", "moxing.tensorflow:InputSpec", "moxing.tensorflow:auto.search",
         "moxing.tensorflow:auto.run", "moxing.tensorflow.executor.ops_adapter:rank", "moxing.tensorflow.datasets.tfrecord:tfrecord_common.get_tfrecord",
         "moxing.tensorflow.datasets.tfrecord_image:ProgressiveImagenetDataset", "moxing.tensorflow.datasets:dataset_utils.int64_feature",
         "moxing.tensorflow.datasets.reader:raw_reader.split_image_classification_dataset", "moxing.tensorflow.utils:tf_util.version_info",
         "moxing.tensorflow.utils.hyper_param_flags:mox_flags.num_gpus", "moxing.tensorflow.optimizer.dynamic_momentum:DyMomentumOptimizer",
         "moxing.tensorflow.optimizer.dynamic_momentumw:DyMomentumWOptimizer",
         "moxing.tensorflow.optimizer.simple_sync_optimizer:SimpleSyncOptimizer",
         "moxing.tensorflow.optimizer.learning_rate_scheduler:linear_cosine_decay",
         "moxing.tensorflow.optimizer.learning_rate_scheduler:polynomial_decay", "moxing.tensorflow:NetworkKeys.RESNET_V1_50_MOX"]


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    """In a process of its own: names must not depend on what was imported before."""
    package, _, path = name.partition(":")
    first = path.partition(".")[0]
    code = f"from {package} import {first}\n{path}\nimport importlib\nm = importlib.import_module('{package}')\nm.{path}\n"
    if name in NAMES[:3]:  # cheap ones: those below load TensorFlow
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return
    value = importlib.import_module(package)
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            value = importlib.import_module(f"{package}.{part}")
    assert value is not None


def test_names_that_are_not_offered_say_what_is(mox):
    with pytest.raises(NotImplementedError, match="compressor_spec.*use_fp16"):
        mox.ModelSpec(compressor_spec={"sparsity": 0.5})
    with pytest.raises(NotImplementedError, match="resnet_v1_50 is nearest"):
        mox.get_model_fn(mox.NetworkKeys.RESNET_V1_50_OCT, "TRAIN", 10)
    from moxing.tensorflow.datasets.tfrecord_image import ProgressiveImagenetDataset
    with pytest.raises(NotImplementedError, match="each stage as a training of its own"):
        ProgressiveImagenetDataset(num_samples=10, strategy_spec=[])
    from moxing.tensorflow.optimizer.dynamic_momentum import DyMomentumOptimizer
    with pytest.raises(NotImplementedError, match="get_optimizer_wrapper_fn"):
        DyMomentumOptimizer(0.1, 0.2, 0.1, use_lars=True)


def test_flags_without_effect_are_taken_with_one_line(mox, log_lines):
    from moxing import _engine
    words = ["--server_protocol=grpc+verbs", "--session_timeout=0", "--running_log_level=2", "--dgc_momentum=0.9", "--sync_before_server",
             "--local_parameter_device", "gpu", "--var_dtype=fp32", "--mine=1", "--num_gpus=2"]
    assert _engine.parse_flags(words) == ["--mine=1"]
    assert log_lines() == ["WARNING: without effect in this version: --server_protocol=grpc+verbs (grpc), --session_timeout=0, "
                           "--running_log_level=2, --dgc_momentum, --sync_before_server, --local_parameter_device, --var_dtype"]
    assert mox.get_flag("server_protocol") == "grpc" and mox.get_flag("session_timeout") == 7200 and mox.get_flag("running_log_level") == "info"
    assert mox.get_flag("dgc_momentum") == "0.9" and mox.get_flag("sync_before_server") is True and mox.get_flag("num_gpus") == 2
    assert mox.get_flag("min_size_in_kb") == ""
    mox.set_flag("chief_inc_global_step", True)
    assert log_lines() == ["WARNING: without effect in this version: --chief_inc_global_step"]
    with pytest.raises(ValueError, match="there is no flag 'dgx_momentum'"):
        mox.set_flag("dgx_momentum", 1)
    with pytest.raises(ValueError, match="session_timeout: got '-1'"):
        mox.set_flag("session_timeout", -1)


class Listener(tf.train.CheckpointSaverListener):
    def __init__(self):
        self.saved = []

    def after_save(self, session, global_step_value):
        self.saved.append(global_step_value)


def test_hooks_that_want_a_session(mox, tmp_path):
    listener = Listener()

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        spec.hooks = [tf.train.CheckpointSaverHook(str(tmp_path / "theirs"), save_steps=2, listeners=[listener]),
                      tf.train.StepCounterHook(every_n_steps=2, output_dir=str(tmp_path / "counted")),
                      tf.train.SummarySaverHook(save_steps=1, output_dir=str(tmp_path / "mine"), summary_op=tf.summary.scalar("x", spec.loss)),
                      tf.train.NanTensorHook(spec.loss), tf.train.LoggingTensorHook({"l": spec.loss}, every_n_iter=2),
                      tf.train.FinalOpsHook(spec.loss), tf.train.GlobalStepWaiterHook(0), tf.train.StopAtStepHook(last_step=5)]
        return spec

    result = mox.run(**toy.options(tmp_path / "run", 50, model_fn=model_fn))
    assert result.steps == 5 and listener.saved[0] == 0 and listener.saved[-1] == 5
    theirs = tf.train.load_checkpoint(str(tmp_path / "theirs"))
    ours = tf.train.load_checkpoint(str(tmp_path / "run"))
    assert np.array_equal(theirs.get_tensor("w"), ours.get_tensor("w")) and theirs.get_tensor("global_step") == 5
    assert os.listdir(tmp_path / "counted") and os.listdir(tmp_path / "mine")


def test_a_model_of_a_placeholder_alone(mox, tmp_path):
    """The manual's second example of ModelSpec: no variable, so no checkpoint is asked for."""
    class FeedRunHook(mox.AggregativeSessionRunHook):
        def __init__(self, x):
            self.x = x

        def before_run(self, run_context):
            return tf.train.SessionRunArgs(fetches=None, feed_dict={self.x: 1.5})

    def model_fn(inputs, run_mode, **kwargs):
        del inputs
        x = tf.placeholder(dtype=tf.float32, shape=())
        return mox.ModelSpec(log_info={"x": x}, hooks=[FeedRunHook(x)])

    options = toy.options("", 2, model_fn=model_fn, run_mode="EVAL")
    assert mox.run(**options).metrics == {"x": 1.5}
    trained = mox.run(**toy.options(tmp_path, 2)).checkpoint
    assert mox.run(**{**options, "checkpoint_path": trained}).metrics == {"x": 1.5}


def values_at(schedule, steps):
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int64, [])
        rate = schedule(step)
        return [float(session.run(rate, {step: at})) for at in steps]


def test_schedules_by_the_originals_arguments(mox):
    from moxing.tensorflow.optimizer.learning_rate_scheduler import linear_cosine_decay, polynomial_decay
    line = values_at(lambda step: polynomial_decay(0.8, 0.2, step, 100, 0.1, 0.9), [0, 5, 10, 50, 90, 100])
    assert np.allclose(line, [0.2, 0.5, 0.8, 0.5, 0.2, 0.2], atol=1e-6)
    cosine = values_at(lambda step: linear_cosine_decay(0.8, 0.2, step, 100, 0.1, 0.9), [0, 5, 10, 50, 90, 100])
    assert np.allclose(cosine, [0.2, 0.5, 0.8, 0.5, 0.2, 0.2], atol=1e-6)
    quarter = values_at(lambda step: linear_cosine_decay(1.0, 0.0, step, 100, 0, 1.0), [25])
    assert np.allclose(quarter, [0.5 + 0.5 * np.cos(np.pi / 4)], atol=1e-6)


@pytest.mark.parametrize("decayed", [False, True])
def test_momentum_that_follows_the_rate(mox, tmp_path, decayed):
    """Two steps of it, by hand."""
    from moxing.tensorflow.optimizer.dynamic_momentum import DyMomentumOptimizer
    from moxing.tensorflow.optimizer.dynamic_momentumw import DyMomentumWOptimizer
    from moxing.tensorflow.optimizer.learning_rate_scheduler import polynomial_decay
    from moxing.tensorflow.optimizer.simple_sync_optimizer import SimpleSyncOptimizer

    def model_fn(inputs, mode):
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        return mox.ModelSpec(loss=3.0 * w, log_info={"w": w})

    def optimizer_fn():
        step = tf.train.get_or_create_global_step()
        rate = polynomial_decay(0.4, 0.1, step, 4, 2, 1.0)  # 0.1, 0.25
        kind = DyMomentumWOptimizer if decayed else DyMomentumOptimizer
        opt = kind(rate, 0.4, 0.1, max_mom=0.9, min_mom=0.6, global_step=step, max_iteration=4, weight_decay=0.5)
        tf.summary.scalar(name="momentum", tensor=opt.get_momentum())
        return SimpleSyncOptimizer(opt, num_workers=1, task_index=0)

    mox.run(**toy.options(tmp_path, 2, model_fn=model_fn, optimizer_fn=optimizer_fn))
    w = v = None
    for rate, momentum in ((0.1, 0.9), (0.25, 0.75)):
        w, v = (1.0, 0.0) if w is None else (w, v)
        v = momentum * v + 3.0
        w = w - rate * v - (rate * 0.5 * w if decayed else 0)
    assert np.isclose(tf.train.load_variable(str(tmp_path), "w"), w, atol=1e-6)


def test_search_of_parameters(mox, tmp_path, log_lines):
    def model_fn(inputs, mode, **kwargs):
        spec = toy.model_fn(inputs, mode)
        spec.log_info["accuracy"] = -spec.loss
        return spec

    def optimizer_fn(**kwargs):
        spec = kwargs["param_spec"]
        return mox.get_optimizer_fn("momentum", learning_rate=spec.learning_rate, momentum=spec.momentum)()

    start = mox.auto.ParamSpec(momentum=0.5, learning_rate=1e-6)
    options = {key: value for key, value in toy.options("").items() if key in ("input_fn", "batch_size")}
    found = mox.auto.search(**options, model_fn=model_fn, optimizer_fn=optimizer_fn, total_steps=20, evaluation_total_steps=3,
                            init_learning_rate=1e-5, end_learning_rate=0.1, param_spec=start,
                            param_list_spec=mox.auto.ParamSpec(momentum=[0.0, 0.5]))
    assert np.isclose(found.learning_rate, 0.1) and found.momentum == 0.5, found
    assert sum(line.startswith("search: ParamSpec") for line in log_lines()) == 6  # 5 rates, and another momentum
    result = mox.auto.run(**toy.options(tmp_path, 30, model_fn=model_fn, optimizer_fn=optimizer_fn), param_spec=found)
    assert result.metrics["loss"] < 2


def first_of(dataset, keys):
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = dataset().get(keys)
        session.run(tf.local_variables_initializer())
        return session.run(tensors)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """Records of a band of four and an angle."""
    from moxing.tensorflow.datasets import dataset_utils as utils
    folder = tmp_path_factory.mktemp("numbered")
    with tf.python_io.TFRecordWriter(str(folder / "train-1.tfrecord")) as writer:
        for i in range(3):
            feature = {"band": utils.float_feature([1.0 * i, 1, 2, 3]), "angle": utils.float_feature(40.0 + i), "label": utils.int64_feature(i)}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    utils.write_label_file({0: "sea", 1: "ice"}, str(folder))
    assert utils.has_labels(str(folder)) and utils.read_label_file(str(folder)) == {
      0 : "sea", 1 : "ice"
    }
    return str(folder)


def test_the_older_form_of_record_data_sets(mox, numbered):
    """_parser and _build_feature of a subclass; num_readers."""
    from moxing.tensorflow.datasets.tfrecord_common import BaseTFRecordDataset
    metadata = mox.ImageClassificationTFRecordMetadata(numbered, "train-*")

    class Records(BaseTFRecordDataset):
        def _parser(self, record):
            parsed = tf.parse_single_example(record, {"band": tf.FixedLenFeature((4,), tf.float32), "angle": tf.FixedLenFeature([], tf.float32)})
            return parsed["band"], parsed["angle"]

        def _build_feature(self, band, angle):
            self._add_feature("band", tf.reshape(band, [2, 2]))
            self._add_feature("angle", angle)

    angle, band = first_of(lambda: Records(metadata, shuffle=False, num_readers=1, num_epochs=1), ["angle", "band"])
    assert angle == 40 and band.tolist() == [[0, 1], [2, 3]]


def test_handlers_by_position(mox, numbered):
    from moxing.tensorflow.datasets.tfrecord_common import ImageClassificationTFRecordDataset
    metadata = mox.ImageClassificationTFRecordMetadata(numbered, "train-*")

    class Reshaped:
        """As TF-Slim's tfexample_decoder.Tensor."""
        def __init__(self, key, shape):
            self._key, self._shape = key, shape

        def tensors_to_item(self, keys_to_tensors):
            return tf.reshape(keys_to_tensors[self._key], self._shape)

    features = {"band": tf.FixedLenFeature((4,), tf.float32), "angle": tf.FixedLenFeature([1], tf.float32)}
    handlers = {"band": Reshaped("band", [2, 2]), "angle": Reshaped("angle", [])}
    band, angle = first_of(lambda: ImageClassificationTFRecordDataset(metadata, features, handlers, shuffle=False, num_readers=2, num_epochs=1),
                           ["band", "angle"])
    assert angle == 40 and band.tolist() == [[0, 1], [2, 3]]


def test_arguments_by_older_names(tmp_path, capfd):
    import moxing as mox
    mox.file.write(str(tmp_path / "a.txt"), "abc")
    (tmp_path / "sub").mkdir()
    mox.file.write(str(tmp_path / "sub/b.txt"), "de")
    assert mox.file.stat(src_url=str(tmp_path / "a.txt")).length == 3
    assert mox.file.get_size(str(tmp_path), recurisive=True) == 5
    assert len(mox.file.list_directory(str(tmp_path), recurisive=True)) == 3
    assert mox.file.read(str(tmp_path / "a.txt"), exist_check=False) == "abc"
    assert mox.file.is_directory("") is False
    mox.file.set_auth(obs_client_log=True, timeout_config={"getObjectMetadata": 10})
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2 and "obs_client_log has no effect" in lines[0] and "client_timeout" in lines[1]
    mox.file.remove(str(tmp_path / "sub"), recurisive=True)
    assert os.listdir(tmp_path) == ["a.txt"]
    with pytest.raises(FileNotFoundError) as caught:
        mox.file.File(str(tmp_path / "none/x.txt"), "w")
    assert caught.value.filename == str(tmp_path / "none/x.txt")


def test_background_sync(tmp_path, capfd):
    import moxing as mox
    (tmp_path / "from").mkdir()
    synced = mox.file.background_sync_copy(str(tmp_path / "from"), str(tmp_path / "to"), seconds=0.05)
    (tmp_path / "from/a.txt").write_text("a")
    deadline = time.time() + 20
    while not (tmp_path / "to/a.txt").exists() and time.time() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "to/a.txt").read_text() == "a"
    (tmp_path / "from/b.txt").write_text("b")
    synced.stop()
    synced.stop()
    assert (tmp_path / "to/b.txt").read_text() == "b"
    failing = mox.file.background_sync_copy(str(tmp_path / "none"), str(tmp_path / "to"), seconds=1000)
    capfd.readouterr()
    failing.stop()
    assert capfd.readouterr().err.startswith("WARNING: background_sync_copy ")


def test_background_sync_comes_a_last_time_at_the_end(tmp_path):
    (tmp_path / "from").mkdir()
    code = (f"import moxing as mox\nmox.file.background_sync_copy({str(tmp_path / 'from')!r}, {str(tmp_path / 'to')!r}, seconds=1000)\n"
            f"open({str(tmp_path / 'from/a')!r}, 'w').write('late')\n")
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "to/a").read_text() == "late"
