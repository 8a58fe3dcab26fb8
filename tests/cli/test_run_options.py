"""Options are lines of a table: the program's help, its errors and the tables in docs/ are what `mox flags` tells."""
import json
import subprocess
import sys

import pytest

from program import MOX, ROOT, mox

NAMES = {"log_dir": "train_url", "checkpoint_path": "checkpoint_url", "random_seed": "seed"}
COMMANDS = {"train": {"batch_size": "32", "log_mean": "true", "log_format": "short", "moving_average_ramp": "true"}, "eval": {"batch_size": "50", "log_every_n_steps": "0"}, "predict": {"batch_size": "32"}}


def options(of):
    return [option for option in json.loads(mox("flags", "--json").stdout) if option["of"] == of]


def in_cli_words(text):
    for name, flag in NAMES.items():
        text = text.replace(name, flag)
    return text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_every_option_with_its_default(command):
    text = " ".join(mox(command, "--help").stdout.split())
    shown = 0
    for option in options("run"):
        if command not in option["where"]:
            continue
        flag = "--" + NAMES.get(option["name"], option["name"])
        entry = text.partition(flag + " ")[2][:120]
        assert in_cli_words(option["help"])[:40] in entry, (flag, entry)
        default = COMMANDS[command].get(option["name"], option["default"])
        if default not in (None, "false", False):  # a switch that is off has no value to show
            default = f"{default:g}" if isinstance(default, float) else default
            assert f"={default} " in entry, (flag, entry)
        shown += 1
    assert shown == {"train": 30, "eval": 4, "predict": 2}[command]


def test_a_wrong_value_is_told_in_the_words_of_the_table(tmp_path):
    tried = 0
    for option in options("run"):
        if "train" not in option["where"] or "from" not in option["values"] or option["default"] is None:
            continue
        if option["name"] == "random_seed":
            continue
        for value in ("-7", "x"):
            failed = mox("train", "--train_url=x", f"--{option['name']}={value}", check=False, cwd=tmp_path)
            expected = f"mox train: --{option['name']} is {value}, expected {option['values']}"
            assert failed.returncode == 2 and failed.stderr.splitlines()[0] == expected, failed.stderr
        tried += 1
    assert tried >= 5
    failed = mox("train", "--train_url=x", "--keep_best_mode=up", check=False, cwd=tmp_path)
    assert failed.returncode == 2 and "--keep_best_mode is up, expected auto, max or min" in failed.stderr
    assert not list(tmp_path.iterdir())


def test_flags_lists_options_of_runs_and_data_sets():
    text = mox("flags").stdout
    assert "  num_gpus=1\n" in text.replace("--", "") and "  keep_checkpoint_max=5\n" in text and "  num_parallel=8\n" in text
    assert {option["since"] for option in options("run") + options("data")} <= {"0.1", "0.2"}


def test_the_tables_in_docs_are_what_the_program_tells(tmp_path):
    script = str(ROOT / "docs/options_table.py")
    subprocess.run([sys.executable, script, "--check", str(MOX)], check=True)
    (tmp_path / "docs").mkdir()  # a copy whose tables are out of date
    for name in ("options_table.py", "options.md", "data.md"):
        text = (ROOT / "docs" / name).read_text()
        (tmp_path / "docs" / name).write_text(text.replace("| `keep_checkpoint_max` | 5 |", "| `keep_checkpoint_max` | 6 |"))
    failed = subprocess.run([sys.executable, str(tmp_path / "docs/options_table.py"), "--check", str(MOX)], capture_output=True, text=True)
    assert failed.returncode == 1 and "docs/options.md: the table of run options" in failed.stderr, failed.stderr
