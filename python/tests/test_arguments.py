"""Every public argument: what is wrong is told with its name, what was got and what is expected."""
import inspect
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import moxing as mx
import toy
from moxing._arguments import Integer, Kind, ListOf, Number, Path, Secret, Switch, Text, Told
from moxing.errors import ArgumentTypeError, InvalidArgumentError

# What nanobind, the standard library and the JSON parser say of such values.
FOREIGN = ("incompatible function arguments", "bad_cast", "stoll", "basic_string", "json.exception", "vector::")


class Odd:
    def __repr__(self):
        return "<odd>"


def public_functions():
    """(name, function) of all that has arguments: functions, and the constructors of classes."""
    import moxing.file
    import moxing.tensorflow as mox
    for module, prefix in ((moxing.file, "file."), (mox, "")):
        for name in module.__all__:
            if name == "file":
                continue
            value = getattr(module, name)
            if inspect.isclass(value):
                if "__init__" in vars(value) and not issubclass(value, BaseException):
                    yield prefix + name, value.__init__
            elif inspect.isfunction(value):
                yield prefix + name, value
    yield "learning_rate_scheduler.piecewise_lr", mox.learning_rate_scheduler.piecewise_lr
    yield "Dataset.get", mox.Dataset.get
    yield "file.File", moxing.file._stream._open


def kinds_of(function):
    return {name: p.annotation for name, p in inspect.signature(function).parameters.items()
            if isinstance(p.annotation, Kind) and not isinstance(p.annotation, Told)}  # which is looked at elsewhere


def fitting(kind):
    if isinstance(kind, (Integer, Number)):
        return max(kind.low, 1) if math.isfinite(kind.low) else 1
    if isinstance(kind, Switch):
        return True
    if isinstance(kind, ListOf):
        return []
    return "x"


def wrong_values(kind):
    """(value, how it is shown)"""
    if isinstance(kind, Secret):  # never shown
        yield 5, "of type int"
        yield Odd(), "of type Odd"
        return
    yield Odd(), "<odd>"
    if isinstance(kind, (Text, Path, ListOf)):
        yield 5, "5"
    if isinstance(kind, Path):
        yield "a\0b", r"'a\x00b'"
    if isinstance(kind, (Integer, Number)):
        yield "5", "'5'"
        yield math.nan, "nan"
        yield math.inf, "inf"
        yield [1], "[1]"
        yield kind.high + 1 if isinstance(kind, Integer) else math.nextafter(kind.high, math.inf), None
        if math.isfinite(kind.low):
            yield kind.low - 1, str(kind.low - 1)
    if isinstance(kind, Integer):
        yield 1.5, "1.5"
        yield 2**70, str(2**70)
        yield True, "True"
    if isinstance(kind, Switch):
        yield "yes", "'yes'"
        yield 2, "2"


def test_every_annotated_argument_is_checked():
    seen = 0
    for name, function in public_functions():
        kinds = kinds_of(function)
        parameters = inspect.signature(function).parameters
        needed = {n: fitting(kinds[n]) if n in kinds else None for n, p in parameters.items()
                  if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        for argument, kind in kinds.items():
            for value, shown in wrong_values(kind):
                with pytest.raises(InvalidArgumentError) as caught:
                    function(**{**needed, argument: value})
                text = str(caught.value)
                assert f"{argument} is " in text and f"expected {kind.expected}" in text, (name, text)
                assert shown is None or shown in text, (name, text)
                assert not any(word in text for word in FOREIGN), text
                seen += 1
    assert seen > 500


# What has no annotations: its arguments are looked at by hand, and tested in test_errors.py, test_datasets.py or below.
BY_HAND = {"file.shift", "ModelSpec", "ExportSpec", "FeedSessionRunHook", "var_scope", "get_collection", "default_preprocess_fn",
           "get_help", "ImageClassificationRawDataset", "MultilabelClassificationRawDataset", "ImageClassificationTFRecordDataset",
           "BaseTFRecordDataset", "Dataset", "RunResult", "LrFindResult", "get_tfrecord"}


def test_no_public_function_is_forgotten():
    for name, function in public_functions():
        assert kinds_of(function) or name in BY_HAND or not set(inspect.signature(function).parameters) - {"self"}, name


def test_a_wrong_type_is_a_type_error_and_a_value_error():
    with pytest.raises(TypeError) as caught:
        mx.file.exists(None)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, ArgumentTypeError)
    with pytest.raises(ValueError) as caught:
        mx.file.set_auth(retry=0)
    assert not isinstance(caught.value, TypeError)
    with pytest.raises(TypeError, match=r"exists\(\) missing 1 required positional argument: 'url'"):
        mx.file.exists()
    with pytest.raises(TypeError, match=r"set_auth\(\) got an unexpected keyword argument 'acess'"):
        mx.file.set_auth(acess=1)


@pytest.mark.parametrize("arguments,text", [
    ({"retry": 0}, "set_auth: retry is 0, expected an integer from 1 to 1000"),
    ({"retry": "x"}, "set_auth: retry is 'x', expected an integer from 1 to 1000"),
    ({"retry": 2**40}, "set_auth: retry is 1099511627776, expected an integer from 1 to 1000"),
    ({"client_timeout": -1}, "set_auth: client_timeout is -1, expected a number from 0.001 to 86400"),
    ({"client_timeout": math.nan}, "set_auth: client_timeout is nan, expected a number from 0.001 to 86400"),
    ({"retry_wait": -1}, "set_auth: retry_wait is -1, expected a number from 0 to 3600"),
    ({"port": 99999}, "set_auth: port is 99999, expected an integer from 1 to 65535"),
    ({"list_max_keys": 5000}, "set_auth: list_max_keys is 5000, expected an integer from 1 to 1000"),
    ({"ak": 5}, "set_auth: ak is of type int, expected a text"),
    ({"sk": b"secret"}, "set_auth: sk is of type bytes, expected a text"),
    ({"is_secure": "x"}, "set_auth: is_secure is 'x', expected True or False"),
])
def test_set_auth(arguments, text):
    with pytest.raises(InvalidArgumentError) as caught:
        mx.file.set_auth(**arguments)
    assert str(caught.value) == text


@pytest.mark.parametrize("variable,value,text", [
    ("MOX_RETRY", "0", "MOX_RETRY='0': expected an integer from 1 to 1000"),
    ("MOX_RETRY", "3 times", "MOX_RETRY='3 times': expected an integer from 1 to 1000"),
    ("MOX_CLIENT_TIMEOUT", "nan", "MOX_CLIENT_TIMEOUT='nan': expected a number from 0.001 to 86400"),
    ("MOX_RETRY_WAIT", "inf", "MOX_RETRY_WAIT='inf': expected a number from 0 to 3600"),
    ("MOX_PORT", "70000", "MOX_PORT='70000': expected an integer from 1 to 65535"),
    ("MOX_LIST_MAX_KEYS", "-5", "MOX_LIST_MAX_KEYS='-5': expected an integer from 1 to 1000"),
    ("MOX_IS_SECURE", "perhaps", "MOX_IS_SECURE='perhaps': expected true or false"),
])
def test_the_environment(variable, value, text):
    code = "import moxing as mox\ntry: mox.file.exists('s3://a/b')\nexcept ValueError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, variable: value}, capture_output=True, text=True)
    assert done.stdout == f"environment variable {text}; correct or unset it\n", done.stderr


@pytest.mark.parametrize("name,value,text", [
    ("num_gpus", None, "flag --num_gpus: got None, expected an integer from 1 to 1024"),
    ("num_gpus", 2**70, f"flag --num_gpus: got {2**70}, expected an integer from 1 to 1024"),
    ("num_gpus", 100000, "flag --num_gpus: got '100000', expected an integer from 1 to 1024"),
    ("worker_hosts", ["a:1"], "flag --worker_hosts: got ['a:1'], expected host:port,host:port,…"),
    ("loss_scale", math.nan, "flag --loss_scale: got 'nan', expected a number from 1e-30 to 1e+30, or 'dynamic'"),
    ("server_protocol", "http", "flag --server_protocol: got 'http', expected 'grpc'"),
])
def test_set_flag(mox, name, value, text):
    with pytest.raises(ValueError) as caught:
        mox.set_flag(name, value)
    assert str(caught.value).startswith(text)


def test_numbers_of_numpy_and_constants_are_numbers(mox):
    mox.set_flag("num_gpus", np.int64(2))
    assert mox.get_flag("num_gpus") == 2
    mox.set_flag("loss_scale", np.float32(2))
    assert mox.get_flag("loss_scale") == 2
    import tensorflow.compat.v1 as tf
    assert mox.learning_rate_scheduler.piecewise_lr.__wrapped__
    with tf.Graph().as_default():
        rate = mox.learning_rate_scheduler.piecewise_lr("1:0.5", np.int32(10), tf.constant(5))
        assert rate.shape.rank == 0


def dataset_calls(mox, folders, records):
    raw = mox.ImageClassificationRawMetadata(folders)
    record = mox.ImageClassificationTFRecordMetadata(records, "*.tfrecord")
    yield mox.ImageClassificationRawDataset, raw
    yield mox.ImageClassificationTFRecordDataset, record


def test_every_option_of_a_data_set(mox, folders, records):
    import tensorflow.compat.v1 as tf
    tried = 0
    for dataset, metadata in dataset_calls(mox, folders, records):
        for argument in inspect.signature(dataset).parameters:
            if argument in ("metadata", "meta", "custom_feature_keys", "custom_feature_values"):
                continue
            with pytest.raises(InvalidArgumentError, match=argument) as caught:
                dataset(metadata, **{argument: Odd()})
            text = str(caught.value)
            assert "<odd>" in text and ("expected" in text or "must be a function" in text) and not any(word in text for word in FOREIGN), text
            tried += 1
    for argument in ("capacity", "shuffle", "num_epochs", "batch_size", "drop_remainder", "seed", "cache_dir"):
        with pytest.raises(InvalidArgumentError, match=f"{argument} is <odd>, expected"):
            mox.get_dataset("mnist", "train", folders, **{argument: Odd()})
    for argument, value in {"batch_size": 10**9, "num_readers": 10**6, "preprocess_threads": 10**6, "private_num_threads": 10**6,
                            "capacity": 10**12, "shuffle_buffer_size": 10**12, "image_size": 10**6, "num_epochs": 2**70}.items():
        for options in ({argument: value}, {argument: -1}):
            with pytest.raises(InvalidArgumentError, match=rf"{argument} is -?\d+, expected .*from \d+ to \d+"), tf.Graph().as_default():
                mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(folders), **options).get("image")
    with pytest.raises(InvalidArgumentError, match=r"reader_kwargs: num_readers is 'x', expected an integer from 1 to 4096"):
        mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(folders), reader_kwargs={"num_readers": "x"})
    assert tried > 30


ABSURD = {
    "batch_size": ({"batch_size": 10**12}, "batch_size is 1000000000000, expected an integer from 1 to 1048576"),
    "steps": ({"max_number_of_steps": -1}, "max_number_of_steps is -1, expected an integer from 0 to 9223372036854775807"),
    "log": ({"log_every_n_steps": 2.5}, "log_every_n_steps is 2.5, expected an integer from 0 to 9223372036854775807"),
    "seconds": ({"save_model_secs": math.inf}, "save_model_secs is inf, expected a number from -1 to 1e+09"),
    "log_dir": ({"log_dir": 5}, "log_dir is 5, expected a path"),
    "checkpoint_path": ({"checkpoint_path": 5}, "checkpoint_path is 5, expected a path"),
    "auto_batch": ({"auto_batch": "no"}, "auto_batch is 'no', expected True or False"),
    "run_mode": ({"run_mode": None}, "run_mode is None, expected TRAIN, EVAL or PREDICT"),
    "inter_mode": ({"inter_mode": 5}, "inter_mode is 5, expected TRAIN, EVAL or PREDICT"),
}


@pytest.mark.parametrize("case", ABSURD)
def test_run(mox, tmp_path, case):
    change, text = ABSURD[case]
    with pytest.raises(InvalidArgumentError) as caught:
        mox.run(**{**toy.options(tmp_path, 3), **change})
    assert str(caught.value).startswith("run: " + text)


def test_absurd_sizes_of_networks_and_devices(mox, tmp_path):
    with pytest.raises(ValueError, match=r"get_model_fn: num_classes is 1000000000000, expected an integer from 1 to 10000000"):
        mox.get_model_fn("lenet", "TRAIN", 10**12)
    with pytest.raises(ValueError, match=r"get_model_fn: image_height is 1000000, expected an integer from 1 to 16384"):
        mox.get_model_fn("lenet", "PREDICT", 10, image_height=10**6, image_width=10**6)
    with pytest.raises(ValueError, match=r"get_data_augmentation_fn: resize_side_min is 'x', expected an integer"):
        mox.get_data_augmentation_fn("vgg_16", "TRAIN", resize_side_min="x")
    with pytest.raises(ValueError, match=r"optimizer lamb: beta1 is 'x', expected a finite number"):
        mox.get_optimizer_fn("lamb", 0.1, beta1="x")
    for rate in ("x", None, -1, math.nan):
        with pytest.raises(ValueError, match="get_optimizer_fn: learning_rate is "):
            mox.get_optimizer_fn("sgd", rate)
    with pytest.raises(ValueError, match="var_scope: force_dtype is 'x', expected a floating point type"), mox.var_scope("x"):
        pass
    with pytest.raises(ValueError, match="EarlyStoppingHook: min_delta is nan, expected a number from 0"):
        mox.EarlyStoppingHook({}, "a", 1, 1, 1, min_delta=math.nan)


@pytest.mark.eager
def test_what_adds_to_a_graph_says_so_where_there_is_none(mox):
    import tensorflow.compat.v1 as tf
    image = tf.zeros([28, 28, 1])
    makers = {
        "piecewise_lr": lambda: mox.learning_rate_scheduler.piecewise_lr("5:0.1", 100, 10),
        "lenet": lambda: mox.get_model_fn("lenet", "TRAIN", 10)(image[None]),
        "augment_lenet": lambda: mox.get_data_augmentation_fn("lenet", "TRAIN")(image),
    }
    for name, make in makers.items():
        with pytest.raises(ValueError, match=f"{name} adds to a graph: call it inside input_fn, model_fn or optimizer_fn"):
            make()


def test_names_that_are_no_utf8_reach_the_engine(mox, tmp_path):
    """Folders of any name are read; their classes have the names that os.listdir gives."""
    import pictures
    folder = os.fsencode(tmp_path) + b"/f\xe9"
    os.makedirs(folder + b"/caf\xe9")
    with open(folder + b"/caf\xe9/x\xe9.png", "wb") as f:
        f.write(pictures.encode(pictures.plain_image(0, 4, 4)))
    metadata = mox.ImageClassificationRawMetadata(os.fsdecode(folder))
    assert metadata.labels_list == [os.fsdecode(b"caf\xe9")] and metadata.total_num_samples == 1
    assert mox.ImageClassificationRawMetadata(folder).num_classes == 1
    with pytest.raises(mox.NotFoundError, match=r"f\\xe9"):
        mox.ImageClassificationRawMetadata(os.fsdecode(folder) + "/none")


def test_text_that_is_no_utf8_names_its_file(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError, match=r"/a' is no UTF-8 text: read it with binary=True"):
        mx.file.read(str(tmp_path / "a"))


def test_what_a_function_of_the_user_raises_is_not_touched(mox, tmp_path):
    def input_fn(mode):
        raise TypeError("f(): incompatible function arguments. The following argument types are supported")

    with pytest.raises(TypeError) as caught:
        mox.run(**toy.options(tmp_path, 3, input_fn=input_fn))
    assert type(caught.value) is TypeError
