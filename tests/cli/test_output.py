"""Output that cannot be written: a full disk, a reader that went away, a closed descriptor."""
import os
import subprocess

import numpy as np
import pytest

from program import DATA, MOX
from png_files import write_png

# No reader of a pipe, a disk that is full, nothing open: what a shell makes of `| :`, `>/dev/full` and `>&-`.
FULL, CLOSED, PIPE = "full", "closed", "pipe"


def run(args, kind):
    """(exit code, standard error)"""
    if kind == CLOSED:
        done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", str(MOX), *map(str, args)], stderr=subprocess.PIPE, text=True, timeout=300)
        return done.returncode, done.stderr
    if kind == FULL:
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, out = os.pipe()
        os.close(reader)
    try:
        done = subprocess.run([str(MOX), *map(str, args)], stdout=out, stderr=subprocess.PIPE, text=True, timeout=300)
    finally:
        os.close(out)
    return done.returncode, done.stderr


COMMANDS = {
    "version": ["--version"],
    "help": ["--help"],
    "flags": ["flags"],
    "flags as JSON": ["flags", "--json"],
    "help of a command": ["train", "--help"],
    "lr": ["lr", "10:0.1"],
    "lr as JSON": ["lr", "10:0.1", "--json"],
    "nets": ["nets", "lenet"],
    "nets as JSON": ["nets", "lenet", "--json"],
    "data help": ["data", "--help"],
    "file help": ["file", "--help"],
    "completion": ["file", "completion"],
}


@pytest.mark.parametrize("kind", [FULL, CLOSED, PIPE])
@pytest.mark.parametrize("name", COMMANDS)
def test_output_that_cannot_be_written_is_a_failure(name, kind):
    code, errors = run(COMMANDS[name], kind)
    assert code == 1, errors
    assert "standard output cannot be written" in errors and errors.startswith("mox")


@pytest.mark.parametrize("kind", [FULL, CLOSED, PIPE])
def test_files_tell_it_once(tmp_path, kind):
    (tmp_path / "big").write_bytes(bytes(1 << 20))
    for i in range(3000):
        (tmp_path / f"a-name-that-fills-a-pipe-{i}").touch()
    for args in (["cat", tmp_path / "big"], ["ls", tmp_path], ["ls", "-r", tmp_path], ["stat", tmp_path / "big"], ["du", tmp_path],
                 ["cp", "--json", tmp_path / "big", tmp_path / "copy"]):
        code, errors = run(["file", *args], kind)
        assert code == 1 and errors.count("standard output") == 1, (args, errors)
    assert (tmp_path / "copy").stat().st_size == 1 << 20


@pytest.mark.parametrize("kind", [FULL, CLOSED, PIPE])
def test_commands_on_a_run(trained, tmp_path, kind):
    picture = tmp_path / "a.png"
    write_png(picture, np.zeros((28, 28), np.uint8))
    for args in (["predict", f"--checkpoint_url={trained}", picture],
                 ["eval", f"--checkpoint_url={trained}", "--max_number_of_steps=2"],
                 ["export", f"--checkpoint_url={trained}", f"--export_url={tmp_path / 'exported'}"]):
        code, errors = run(args, kind)
        assert code == 1, (args, errors)
        assert f"mox {args[0]}: standard output cannot be written" in errors


def test_a_closed_descriptor_is_no_file_of_the_run(tmp_path):
    """What is printed must not land in a file that took the number of standard output."""
    (tmp_path / "x" / "c").mkdir(parents=True)
    code, errors = run(["report", tmp_path / "x"], CLOSED)
    assert code == 1 and "no log.jsonl" in errors
    code, errors = run(["train", "--model_name=lenet", "--dataset_name=fashion_mnist", f"--data_url={DATA}", f"--train_url={tmp_path / 'run'}",
                        "--batch_size=8", "--max_number_of_steps=2", "--json"], CLOSED)
    assert code == 1 and "mox train: standard output cannot be written" in errors
    assert (tmp_path / "run" / "model.ckpt-2.index").exists()
    for path in (tmp_path / "run").iterdir():
        assert b'"interrupted"' not in path.read_bytes()


def test_what_is_read_by_somebody_is_no_failure():
    done = subprocess.run([str(MOX), "flags"], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr and "--num_gpus=1" in done.stdout
