"""Options and variables that cannot work: told by name with what was got and what is expected, before anything is started."""
import json
import os
import re

import pytest

from program import DATA, mox, train_args

HUGE = "99999999999999999999"


@pytest.mark.parametrize("words,expected", [
    (["train", "--train_url=x", "--batch_size=1000000000"], "--batch_size is 1000000000, expected an integer from 1 to 1048576"),
    (["train", "--train_url=x", f"--batch_size={HUGE}"], f"--batch_size is {HUGE}, expected an integer from 1 to 1048576"),
    (["train", "--train_url=x", "--batch_size=8 "], "--batch_size is 8 , expected an integer from 1 to 1048576"),
    (["train", "--train_url=x", "--max_number_of_steps=-1"], "--max_number_of_steps is -1, expected an integer from 0 to"),
    (["train", "--train_url=x", "--save_model_steps=-3"], "--save_model_steps is -3, expected an integer from 0 to"),
    (["train", "--train_url=x", "--save_model_secs=nan"], "--save_model_secs is nan, expected a number from 0 to"),
    (["train", "--train_url=x", "--weight_decay=inf"], "--weight_decay is inf, expected a number from 0 to"),
    (["train", "--train_url=x", "--momentum=2"], "--momentum is 2, expected a number from 0 to 1"),
    (["train", "--train_url=x", "--image_size=1000000"], "--image_size is 1000000, expected an integer from 1 to 16384"),
    (["train", "--train_url=x", "--num_classes=-4"], "--num_classes is -4, expected an integer from 1 to 10000000"),
    (["train", "--train_url=x", "--batch_norm_fused=perhaps"], "--batch_norm_fused is perhaps, expected true or false"),
    (["train", "--train_url=x", "--num_gpus=1000000"], "flag --num_gpus: got '1000000', expected an integer from 1 to 1024"),
    (["train", "--train_url=x", "--num_inter_threads=1000000"], "flag --num_inter_threads: got '1000000', expected an integer from 0 to 4096"),
    (["train", "--train_url=x", "--loss_scale=nan"], "flag --loss_scale: got 'nan', expected a number from 1e-30 to 1e+30, or 'dynamic'"),
    (["train", "--train_url=x", "--noclone_on_cpu", "--sync_replicas=perhaps"], "flag --sync_replicas: got 'perhaps', expected true or false"),
    (["train", "--train_url=x", "--session_timeout=-5"], "flag --session_timeout: got '-5', expected an integer from 1 to"),
    (["train", "--train_url=x", "--server_protocol=mpi"], "flag --server_protocol: got 'mpi', expected 'grpc'"),
    (["train", "--train_url=x", "--train_\x1b[2J=1"], r"\x1b[2J"),
    (["train", "--batch_size=", "--json", "--train_url=x"], "--batch_size is empty, expected an integer from 1 to 1048576"),
    (["train", "--train_url=", "--json", "--data_url=x", "--model_name=lenet"], "--train_url is empty, expected a value"),
    (["nets", "lenet", f"--num_classes={HUGE}"], f"--num_classes is {HUGE}, expected an integer from 1 to 10000000"),
    (["nets", "lenet", "--image_size=0"], "--image_size is 0, expected an integer from 1 to 16384"),
    (["lr", "10:0.1", "--num_samples=x", "--batch_size=1"], "--num_samples is x, expected an integer from 1 to"),
    (["data", "convert", "x", "y", "--num_shards=1000000000"], "--num_shards is 1000000000, expected an integer from 0 to 100000"),
    (["file", "cp", "--threads=-1", "x", "y"], "--threads is -1, expected an integer from 0 to 256"),
])
def test_bad_options(words, expected, tmp_path):
    failed = mox(*words, check=False, cwd=tmp_path)
    assert failed.returncode == 2, failed.stderr
    assert expected in failed.stderr and failed.stderr.startswith(f"mox {words[0]}"), failed.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variables,expected", [
    ({"TF_CONFIG": '{"task": {"index": -1}}'}, "TF_CONFIG cannot be used: its task.index is -1, expected an integer from 0 to"),
    ({"TF_CONFIG": "{"}, "the environment variable TF_CONFIG cannot be used: it is no JSON"),
    ({"MOX_LOG_LEVEL": "loud"}, "environment variable MOX_LOG_LEVEL: flag --running_log_level: got 'loud', expected"),
])
def test_bad_variables(variables, expected, tmp_path):
    failed = mox(*train_args(tmp_path / "run", 1), check=False, env={**os.environ, **variables})
    assert failed.returncode == 2 and expected in failed.stderr, failed.stderr
    assert "json.exception" not in failed.stderr


@pytest.mark.parametrize("text,expected", [
    ("{", "run.json cannot be read: parse error"),
    ("[]", "run.json cannot be read: it holds array, expected an object"),
    ('{"num_classes": 1e30}', "run.json cannot be read: num_classes is 1e+30, expected an integer of at most 9007199254740992"),
    ('{"image_size": 1099511627776}', "image_size is 1099511627776, expected an integer of at most 2147483647"),
    ('{"image_size": 28.5}', "image_size is 28.5, expected an integer"),
    ('{"num_classes": "ten"}', "run.json cannot be read: num_classes: type must be number, but is string"),
    ('{"model_name": "lenet", "num_classes": 1e12}', "num_classes is 1000000000000, expected an integer from 0 to 10000000"),
    ('{"model_name": "lenet", "num_classes": 10, "image_size": 100000}', "image_size is 100000, expected an integer from 0 to 16384"),
])
def test_what_run_json_says_is_checked(tmp_path, text, expected):
    (tmp_path / "run.json").write_text(text)
    failed = mox("eval", f"--checkpoint_url={tmp_path}", f"--data_url={DATA}", check=False)
    assert failed.returncode in (1, 2) and expected in failed.stderr, failed.stderr
    assert "json.exception" not in failed.stderr


def test_patterns_that_leave_nothing_to_load(trained, tmp_path):
    failed = mox(*train_args(tmp_path / "run", 1, checkpoint_url=trained, checkpoint_exclude_patterns=".*"), check=False)
    assert failed.returncode == 2 and "leave none of the model's" in failed.stderr, failed.stderr


@pytest.mark.parametrize("words", [["eval"], ["export"], ["predict", "x.png"]])
@pytest.mark.parametrize("url, expected", [("nope", "there is neither a folder {0}/nope nor a checkpoint of that name"),
                                           ("nope/model.ckpt-3", "there is no folder {0}/nope, so no checkpoint {0}/nope/model.ckpt-3")])
def test_a_run_that_is_not_there(tmp_path, words, url, expected):
    failed = mox(*words, f"--checkpoint_url={tmp_path / url}", check=False)
    assert failed.returncode == 1 and expected.format(tmp_path) in failed.stderr


@pytest.mark.parametrize("words, expected", [
    (["train", "--batchsize=3"], "--train_url is required; --batchsize=3 is none of the options; did you mean '--batch_size'?"),
    (["train", "--train_url=x", "--data_url=x", "--model_name=resnet_v1_5O"], "; did you mean 'resnet_v1_50'?"),
    (["train", "--train_url=x", "--data_url=.", "--model_name=lenet", "--dataset_name=fashionmnist"], "; did you mean 'fashion_mnist'?"),
    (["train", "--train_url=x", "--keep_best_mode=mx"], "--keep_best_mode is mx, expected auto, max or min; did you mean 'max'?"),
    (["eval", "--checkpoint_url=.", "--nom_gpus=3"], "--nom_gpus=3; did you mean '--num_gpus'?"),
    (["eval", "--variable_update=replicatd"], "; did you mean 'replicated'?"),
    (["train", "--train_url=x", "--what"], "not expected: --what\n"),
])
def test_what_was_meant(tmp_path, words, expected):
    failed = mox(*words, check=False, cwd=tmp_path)
    assert failed.returncode in (1, 2) and expected in failed.stderr, failed.stderr


@pytest.mark.parametrize("text,expected", [
    ('{"confusion": [[1, 2]]}', "eval.json: confusion is not a square of integers"),
    ('{"classes": [1]}', "eval.json: classes is not a list of names"),
    ('{"pictures": [{"label": -1}]}', "eval.json: pictures is not a list of pictures with label, predicted and png"),
    ("7", "eval.json is not an object"),
])
def test_what_eval_json_says_is_checked(tmp_path, text, expected):
    (tmp_path / "eval.json").write_text(text)
    failed = mox("report", tmp_path, check=False)
    assert failed.returncode == 1 and expected in failed.stderr, failed.stderr


def test_the_log_level_is_heeded(trained):
    evaluate = ["eval", f"--checkpoint_url={trained}", "--max_number_of_steps=2"]
    assert not mox(*evaluate).stderr
    told = mox(*evaluate, "--running_log_level=info").stderr
    assert re.search("loaded .* variables from checkpoint", told)
    assert mox(*evaluate, env={**os.environ, "MOX_LOG_LEVEL": "info"}).stderr == told
    assert not mox(*evaluate, "--log_every_n_steps=1", "--running_log_level=error").stderr
    assert "training lenet" not in mox(*train_args(trained, 1), "--running_log_level=off", check=False).stderr


def test_flags_tell_their_values():
    flags = {flag["name"]: flag for flag in json.loads(mox("flags", "--json").stdout)}
    assert flags["num_gpus"]["values"] == "an integer from 1 to 1024" and flags["num_gpus"]["offered"]
    assert not flags["server_protocol"]["offered"] and flags["sync_replicas"]["offered"] and flags["variable_update"]["default"] == "auto"
    assert "this version takes the default only" in mox("flags").stdout
