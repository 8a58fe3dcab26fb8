"""Scripts in the style of TensorFlow 1, run as users do: `python -m moxing.v1 script …` and `mox script script …`."""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest

from stores import Store

SCRIPTS = pathlib.Path(__file__).parent / "scripts"
MOX = pathlib.Path(__file__).resolve().parents[3] / "build/release/bin/mox"
PATH = os.pathsep.join(os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)
program = pytest.mark.skipif(not MOX.exists(), reason="the program is not built")


def v1(*words, start=(sys.executable, "-m", "moxing.v1"), cwd=None, **changes):
    return subprocess.run([*map(str, start), *map(str, words)], capture_output=True, text=True, timeout=300, cwd=cwd,
                          env={**os.environ, "PYTHONPATH": PATH, **changes})


def script(name, *words, **changes):
    done = v1(SCRIPTS / name, *words, **changes)
    assert done.returncode == 0, done.stderr
    return done


def test_names_of_tensorflow_1():
    done = script("names.py")
    assert done.stdout == "all names\n"
    assert done.stderr == ""  # no deprecation, no note


def test_the_manuals_script(mnist_dir, tmp_path):
    """FLAGS are read before MoXing is imported; batch_size is left out; a tf.Variable; sys.maxint steps."""
    done = script("softmax.py", f"--data_url={mnist_dir}", f"--train_url={tmp_path}/run", "--num_gpus=1", "--worker_hosts=",
                  "--num_intra_threads=")
    assert done.stdout.splitlines()[0] == "['W', 'b', 'global_step']"
    steps, accuracy = re.search(r"steps (\d+) accuracy ([\d.]+)", done.stdout).groups()
    assert (int(steps), float(accuracy) > 0.8) == (50, True), done.stdout
    assert "sample/sec" in done.stderr and (tmp_path / "run/done.txt").read_text() == "done"


@pytest.mark.parametrize("servers", [0, 1], ids=["workers", "server"])
def test_the_manuals_script_on_two_workers_by_its_flags(mnist_dir, tmp_path, servers):
    """The same command everywhere but for --job_name and --task_index."""
    ports = []
    with contextlib.ExitStack() as held:
        for _ in range(2 + servers):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            ports.append(f"127.0.0.1:{one.getsockname()[1]}")
    words = [f"--data_url={mnist_dir}", f"--train_url={tmp_path}/run", "--num_gpus=1", f"--worker_hosts={','.join(ports[:2])}",
             f"--ps_hosts={','.join(ports[2:])}"]
    tasks = [["--job_name=worker", f"--task_index={index}"] for index in range(2)] + [["--job_name=ps", "--task_index=0"]] * servers
    env = {**os.environ, "PYTHONPATH": PATH, "MOX_CLUSTER_TOKEN": "secret"}
    running = [subprocess.Popen([sys.executable, "-m", "moxing.v1", str(SCRIPTS / "softmax.py"), *words, *task], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=env) for task in tasks]
    done = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0] * len(tasks), done
    for out, _ in done[:2]:
        assert out.splitlines()[0] == "['W', 'b', 'global_step']"
        steps, accuracy = re.search(r"steps (\d+) accuracy ([\d.]+)", out).groups()
        assert (int(steps), float(accuracy) > 0.8) == (25, True), out  # each has half of the 50 batches
    assert "sample/sec" in done[0][1] and "sample/sec" not in done[1][1]


def test_a_batch_taken_in_input_fn_is_a_new_one_in_every_step(mnist_dir, tmp_path):
    done = script("softmax.py", f"--data_url={mnist_dir}", f"--train_url={tmp_path}/run", "--input=arrays")
    losses = [float(loss) for loss in re.findall(r"loss: ([\d.]+)", done.stderr)]
    steps, accuracy = re.search(r"steps (\d+) accuracy ([\d.]+)", done.stdout).groups()
    assert (int(steps), float(accuracy) > 0.8) == (60, True), done.stdout
    assert len(set(losses)) == len(losses) == 6


def test_data_and_run_in_a_store(mnist_dir, tmp_path):
    with Store("versitygw", tmp_path / "store") as store:
        bucket = tmp_path / "store/bucket"
        shutil.copytree(mnist_dir, bucket / "mnist")
        env = {"MOX_AK": "AKMOXTEST", "MOX_SK": "secret-of-the-tests", "MOX_SERVER": f"http://127.0.0.1:{store.port}"}
        script("softmax.py", "--data_url=s3://bucket/mnist/", "--train_url=s3://bucket/run", **env)
        assert (bucket / "run/done.txt").read_text() == "done" and (bucket / "run/checkpoint").exists()


def test_layers_made_for_tensorflow_1_train(tmp_path):
    done = script("layers_train.py", "--kinds=slim,layers,keras", f"--log_dir={tmp_path}", "--batch_size=20", "--use_fp16=")
    found = re.findall(r"(\w+) (\d+) variables, accuracy ([\d.]+)", done.stdout)
    assert [(kind, int(count), float(accuracy) > 0.7) for kind, count, accuracy in found] == [
        ("slim", 7, True), ("layers", 8, True), ("keras", 5, True)], done.stdout
    assert "deprecated" not in done.stderr


def test_flags_as_tensorflow_1_had_them():
    done = script("flag_values.py", "--data_url=d", "--steps=", "--rate", "", "--text=", "--v", "--num_gpus=3", "--use_fp16",
                  "--loss_scale", "8", "--worker_hosts=''", "--task_index=", "--unknown=1", "rest")
    assert done.stdout.splitlines() == [
        "text is there already", "d /l 8 0.5 '' True 3 True", "3 True 8.0 ''",
        "['--unknown=1', 'rest'] ['--data_url=d', '--steps=', '--rate', '', '--text=', '--v', '--unknown=1', 'rest'] True "
        "flag_values.py", "8 True 0.5 False much", "Namespace(num_gpus=3, data_url='d')"]


def test_layers_without_names_on_two_devices(tmp_path):
    """Each device's layers are the first's. The flags are MoXing's and the script's, too, which compares them."""
    done = script("layers_train.py", "--kinds=slim,layers,keras", f"--log_dir={tmp_path}", "--num_gpus=2", "--use_fp16", "true",
                  "--unknown=1")
    assert re.findall(r"\w+ \d+ variables", done.stdout) == ["slim 7 variables", "layers 8 variables", "keras 5 variables"]


def test_keras_layers_that_are_not_told_whether_they_train(tmp_path):
    done = script("keras_modes.py", f"--train_url={tmp_path}")
    assert done.stdout.splitlines() == ["True True True False"] * 2 + ["False True False True"]


def test_queue_runners_become_a_pipeline(tmp_path):
    """Each row comes once an epoch, in EVAL and PREDICT the last ones, too."""
    done = script("queues.py", f"--folder={tmp_path}")
    total = 3 * sum(range(40))
    assert done.stdout == f"slices 40 rows, sum {total}.0\nshuffled 80 rows, sum {2 * total}.0\nprovider 40 rows, sum {total}.0\n"
    assert "queue runners" in done.stderr


def test_a_session_script(mnist_dir, tmp_path):
    done = v1(SCRIPTS / "session.py", f"--data_url={mnist_dir}", f"--train_url={tmp_path}/run", "--num_gpus=2", "--loss_scale", "8")
    assert done.returncode == 7, done.stderr
    accuracy, epochs = re.search(r"accuracy ([\d.]+) epochs (\d+)", done.stdout).groups()
    assert float(accuracy) > 0.8 and int(epochs) == 2 and "(1, 10)" in done.stdout
    assert (tmp_path / "run/saved/saved_model.pb").exists()


@pytest.mark.parametrize("manager, flag", [("fixed", "1024.0"), ("dynamic", "dynamic")])
def test_mixed_precision_of_contrib(manager, flag):
    done = script("loss_scale.py", f"--manager={manager}")
    # The second step's loss, after one of gradient descent at rate 0.1 from output 0: w = 0.2 each, the output 0.4.
    assert "loss 0.36" in done.stdout and f"flag {flag}" in done.stdout
    assert "LossScaleOptimizer" in done.stderr


@pytest.fixture
def project(tmp_path):
    return pathlib.Path(shutil.copytree(SCRIPTS / "project", tmp_path / "project"))


def test_modules_beside_it_python_2_and_tracebacks(project, tmp_path):
    """Python 2's syntax, tabs and spaces mixed; a traceback that shows the lines of the files, and nothing of ours."""
    done = v1(project / "main.py")
    assert done.returncode == 1
    assert done.stdout == "two 6 net of 1.! three\nfailed in queue\n7 True '5'\n".replace("'5'", "5")
    main = project / "main.py"
    assert f'File "{main}", line 14, in main\n    raise RuntimeError, "the end"\n' in done.stderr
    assert done.stderr.endswith("RuntimeError: the end\n") and "moxing" not in done.stderr
    assert sorted(p.name for p in project.rglob("*")) == sorted(p.name for p in (SCRIPTS / "project").rglob("*")
                                                                if "__pycache__" not in p.parts)


def test_an_error_in_a_module_of_the_script(project):
    (project / "main.py").write_text("import helper\nhelper.fail()\n")
    done = v1("main.py", cwd=project)
    assert done.stderr == (f'Traceback (most recent call last):\n  File "main.py", line 2, in <module>\n    helper.fail()\n'
                           f'  File "{project}/helper.py", line 9, in fail\n'
                           "    raise ValueError('failed in %s' % Queue.__name__)\nValueError: failed in queue\n")


def test_what_is_missing_says_so_in_one_line():
    done = v1(SCRIPTS / "missing.py")
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert "tf.contrib.seq2seq is not provided" in line and "tensorflow-addons" in line
    done = v1(SCRIPTS / "missing.py", "--import")
    line = done.stderr.splitlines()[-1]
    assert "ImportError: tf.contrib.opt is not provided" in line and "mox.get_optimizer_fn('adamw'" in line
    assert "line 5" in done.stderr and "moxing/v1" not in done.stderr


def test_what_is_nearest_is_told(tmp_path):
    """Of packages of tf.contrib that are gone, of modules of the API, of networks that TF-Slim's package lacks."""
    expected = {"tf.contrib.image.rotate": "tensorflow-addons", "tf.contrib.legacy_seq2seq": "tf.nn.static_rnn", "tf.contrib.eager": "tf.GradientTape",
                "tf.contrib.nosuch": "what TensorFlow 2.21 has in tf itself", "tf.train.Savr": "tf.train.Saver",
                "tf.python_io.TFRecordWritr": "tf.python_io.TFRecordWriter", "slim.nets.mobilenet": "mox.get_model_fn",
                "tf.contrib.layers.embed_sequence": "tf.nn.embedding_lookup"}
    (tmp_path / "a.py").write_text("import tensorflow as tf\nslim = tf.contrib.slim\nfor text in " + repr(list(expected)) + ":\n"
                                   "  try:\n    eval(text)\n    print('there')\n  except AttributeError as e:\n    print(e)\n")
    lines = v1(tmp_path / "a.py").stdout.splitlines()
    assert len(lines) == len(expected), lines
    for line, (name, nearest) in zip(lines, expected.items()):
        missing = ".".join(name.replace("slim.", "tf.contrib.slim.").split(".")[:3 if "image" in name else None])
        assert line.startswith(f"{missing} is not provided to TensorFlow 1 scripts; nearest: ") and nearest in line, line


def test_check_lists_what_a_script_uses_and_runs_nothing(project, tmp_path):
    done = v1("--check", SCRIPTS / "missing.py")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith("missing.py:5: tf.contrib.opt is not provided") for line in lines)
    assert any(line.startswith("missing.py:10: tf.contrib.seq2seq is not") for line in lines)
    done = v1("--check", project / "main.py")
    assert done.returncode == 0, done.stdout
    assert "ok: tf.__version__" in done.stdout and "5 files read" in done.stdout and "three" not in done.stdout
    (project / "helper.py").write_text("import no_such_module, os.path\nimport tensorflow as tf\ntf.placehodler\n")
    done = v1("--check", project / "main.py")
    assert done.returncode == 1
    assert "helper.py:1: the module no_such_module is not installed" in done.stdout
    assert "helper.py:3: tf.placehodler is not provided to TensorFlow 1 scripts; nearest: tf.placeholder" in done.stdout


def test_a_script_without_tensorflow_loads_none(tmp_path):
    """What makes it start as fast as Python does."""
    path = tmp_path / "files.py"
    path.write_text("import moxing as mox, sys, argparse\nfrom absl import flags\nprint(mox.file.exists('/'), sys.argv[1:])\n"
                    "print([name for name in ('tensorflow', 'numpy', 'tf_keras', 'tf_slim') if name in sys.modules])\n")
    done = v1(path, "--a=1", "-b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True ['--a=1', '-b']\n[]\n", "")


@pytest.mark.parametrize("parser", ["argparse", "absl"])
def test_flags_are_parsed_before_tensorflow_is_imported(parser, tmp_path):
    path = tmp_path / "late.py"
    path.write_text({
        "argparse": "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--mine')\n"
                    "mine = parser.parse_args().mine\n",
        "absl": "from absl import app, flags\nflags.DEFINE_string('mine', None, '')\n"
    }[parser] + "def main(_):\n  import moxing.tensorflow as mox\n  print(mine if 'mine' in globals() else flags.FLAGS.mine, "
                "mox.get_flag('num_gpus'))\n" + {"argparse": "main(0)\n", "absl": "app.run(main)\n"}[parser])
    done = v1(path, "--mine=m", "--num_gpus=2", "--worker_hosts=")
    assert (done.returncode, done.stdout) == (0, "m 2\n"), done.stderr
    done = v1(path, "--mine=m", "--var_dtype=fp32")  # one of the original's, of no effect
    assert (done.returncode, done.stdout) == (0, "m 1\n"), done.stderr


def test_the_exit_code_is_the_scripts(tmp_path):
    path = tmp_path / "end.py"
    path.write_text("import sys, os, signal\nif sys.argv[1] == 'kill':\n  os.kill(os.getpid(), signal.SIGTERM)\n"
                    "sys.exit(eval(sys.argv[1]))\n")
    assert [v1(path, code).returncode for code in ("0", "3", "None", "'text'", "kill")] == [0, 3, 0, 1, -15]


def test_help_and_wrong_usage(tmp_path):
    (tmp_path / "a.ipynb").write_text('{"cells": [], "metadata": null}')
    done = v1("--help")
    assert done.returncode == 0 and "Example:\n  mox script train" in done.stdout and done.stderr == ""
    for words, text in ((["--no"], "unknown option '--no'"), ([tmp_path / "no.py"], "there is no script"),
                        ([tmp_path], "is a folder"), ([tmp_path / "a.ipynb"], "is a notebook"), (["--check", tmp_path / "a.ipynb"], "nbconvert"),
                        ([], "Usage: mox script")):
        done = v1(*words)
        assert done.returncode == 2 and text in done.stderr and "Traceback" not in done.stderr


def test_a_wrong_value_of_a_flag_of_moxing(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("import tensorflow as tf\n")
    done = v1(path, "--num_gpus=many")
    assert done.returncode != 0 and "flag --num_gpus: got 'many'" in done.stderr.splitlines()[-1]


@program
def test_the_program_finds_python(tmp_path):
    path = tmp_path / "where.py"
    path.write_text("import sys\nprint(sys.executable, sys.argv)\nsys.exit(5)\n")
    empty = {name: "" for name in ("MOX_PYTHON", "VIRTUAL_ENV")}
    done = v1(path, "--x", start=(MOX, "script"), **{**empty, "MOX_PYTHON": sys.executable})
    assert (done.returncode, done.stdout) == (5, f"{sys.executable} ['{path}', '--x']\n"), done.stderr
    venv = tmp_path / "venv/bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    done = v1(path, start=(MOX, "script"), **{**empty, "VIRTUAL_ENV": str(tmp_path / "venv")})
    assert (done.returncode, done.stdout.split()[0]) == (5, str(venv / "python")), done.stderr
    done = v1(path, start=(MOX, "script"), **{**empty, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 5, done.stderr
    with_tensorflow = tmp_path / "train.py"
    with_tensorflow.write_text("import tensorflow as tf\n")
    bare = tmp_path / "bare"  # a Python without packages
    bare.write_text(f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" -I -S "$@"\n')
    bare.chmod(0o755)
    done = v1(path, start=(MOX, "script"), **{**empty, "MOX_PYTHON": str(bare)})
    assert done.returncode == 1 and "has no package moxing.v1" in done.stderr and len(done.stderr.splitlines()) == 1
    bare.write_text(f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" -S "$@"\n')
    done = v1(with_tensorflow, start=(MOX, "script"), **{**empty, "MOX_PYTHON": str(bare), "PYTHONPATH": ""})
    assert done.returncode == 1 and "lacks the package" in done.stderr.splitlines()[-1]
    done = v1(path, start=(MOX, "script"), **{**empty, "PATH": str(tmp_path)})
    assert done.returncode == 1 and "found no Python" in done.stderr
    done = v1(path, start=(MOX, "script"), **{**empty, "MOX_PYTHON": "/no/python"})
    assert done.returncode == 1 and "MOX_PYTHON is '/no/python'" in done.stderr


@pytest.mark.parametrize("words", [["--use_lr_schedule=lcd", "--num_gpus=2", "--split_to_device"],
                                   ["--use_lr_schedule=poly", "--use_optimizer=dymomentumw", "--data_format=NHWC", "--fp16=True"]])
def test_a_command_line_of_the_originals_clusters(tmp_path, words):
    """Its flags of no effect are told once; what scripts build around them trains."""
    flags = ["--local_parameter_device=gpu", "--num_prefetch_threads=24", "--running_log_level=2", "--server_protocol=grpc+verbs",
             "--var_dtype=fp32", "--min_size_in_kb=999999", "--var_space_starter=1024", "--var_mix_offset=10", "--sync_before_server=True",
             "--variable_update=distributed_replicated_mix", "--num_inter_threads=2", "--loss_scale=128.0", "--ps_hosts=", "--task_index=0"]
    done = script("large_scale.py", *flags, *words, f"--train_url={tmp_path}/run")
    metrics = ["ent_loss", "top-5"] if "dymomentumw" in words[1] else ["ent_loss", "reg_loss", "top-5"]
    assert done.stdout.splitlines()[-1] == f"steps 4 {metrics}"
    lines = [line for line in done.stderr.splitlines() if "without effect in this version" in line]
    assert len(lines) == 3, done.stderr  # of the command line, and of two set_flag
    assert all(name in lines[0] for name in ("local_parameter_device", "num_prefetch_threads", "running_log_level=2", "grpc+verbs",
                                             "var_dtype", "min_size_in_kb", "var_space_starter", "var_mix_offset", "sync_before_server"))
