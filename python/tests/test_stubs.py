"""The stubs: up to date, whole, and what a type checker says of a script by them."""
import ast
import importlib.util
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "moxing"
SCRIPT = PACKAGE.parents[1] / "scripts/stubs.py"
spec = importlib.util.spec_from_file_location("stubs", SCRIPT)
stubs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stubs)


@pytest.fixture(scope="module")
def made():
    return stubs.make()


def test_they_are_up_to_date(made):
    stale = [str(path.relative_to(PACKAGE)) for path, text in made.items() if not path.exists() or path.read_text() != text]
    left = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.pyi") if path not in made]
    assert not stale + left, "run .venv/bin/python scripts/stubs.py and commit what it writes"
    assert (PACKAGE / "py.typed").exists()


def stub_of(module):
    """{name: node} of a stub; names that it imports are followed to where they are defined."""
    path = stubs._place(module)
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("moxing"):
            for alias in node.names:
                name = alias.asname or alias.name
                target = stubs._place(node.module)
                is_module = stubs._place(f"{node.module}.{alias.name}").exists() or (PACKAGE / alias.name).is_dir()
                found[name] = "module" if is_module else stub_of(node.module).get(alias.name) if target.exists() else None
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = node
    return found


def test_every_public_name_is_there_with_its_arguments():
    missing = []
    for name, module in stubs.public_modules().items():
        stub = stub_of(name)
        for public, value in stubs.public_names(module):
            if stub.get(public) is None:
                missing.append(f"{name}.{public}")
            elif isinstance(stub[public], ast.FunctionDef):
                taken = stub[public].args
                told = [a.arg for a in [*taken.posonlyargs, *taken.args, taken.vararg, *taken.kwonlyargs, taken.kwarg] if a]
                if sorted(told) != sorted(stubs.signature_of(value).parameters):
                    missing.append(f"{name}.{public}{stubs.signature_of(value)}")
    assert missing == []
    assert len(stub_of("moxing.tensorflow")["run"].args.args) > 40
    assert "RESNET_V1_50" in ast.unparse(stub_of("moxing.tensorflow")["NetworkKeys"])


GOOD = """
import moxing.tensorflow as mox
from moxing import file
from moxing.tensorflow.optimizer import learning_rate_scheduler

def input_fn(mode: str) -> object:
    dataset = mox.get_dataset("fashion_mnist", "train", "/data", batch_size=3, shuffle=True)
    image, label = dataset.get(["image", "label"])
    return mox.get_data_augmentation_fn("lenet", mode)(image), label

def model_fn(inputs, mode: str) -> mox.ModelSpec:
    images, labels = inputs
    logits, end_points = mox.get_model_fn(mox.NetworkKeys.LENET, mode, num_classes=10)(images)
    return mox.ModelSpec(loss=logits, log_info={"loss": logits}, hooks=[mox.EarlyStoppingHook({"a": 1}, "a", 1, 2, 3)])

result = mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("momentum", 0.1), batch_size=50,
                 run_mode=mox.ModeKeys.TRAIN, log_dir="run", export_model=mox.ExportKeys.TF_SERVING, keep_best_mode="max")
print(result.metrics["loss"] + result.global_step, learning_rate_scheduler.schedule_strategy("cosine", 0.1, 90).upper())
with file.File("s3://bucket/object", "rb") as opened:
    print(opened.read(4) + b"", opened.size() + 1)
print(file.copy_parallel("a", "b").files + file.stat("a").length, file.list_directory("a")[0].upper())
metadata = mox.ImageClassificationRawMetadata("photos")
mox.ImageClassificationRawDataset(metadata, batch_size=3, image_size=(32, 32), reader_class=mox.AsyncRawGenerator)
"""
BAD = {
    "mox.run(batchsize=3)": 'Unexpected keyword argument "batchsize"',
    'mox.run(batch_size="3")': 'has incompatible type "str"',
    'mox.run(keep_best_mode="best")': "keep_best_mode",
    "file.copy(3, 'x')": "incompatible type",
    "mox.get_modelfn('lenet')": "has no attribute",
    "mox.run().metric": "has no attribute",
}


def test_a_type_checker_reads_them(tmp_path):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed (scripts/setup.d/26-python-test.sh)")
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text("import moxing.tensorflow as mox\nfrom moxing import file\n" + "\n".join(BAD) + "\n")
    # Packages of other makers are Any here, so that none of their many files is read.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-tensorflow.*,pandas.*]\nfollow_imports = skip\nignore_missing_imports = True\n")
    checked = subprocess.run([sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(tmp_path / "cache"),
                              "--check-untyped-defs", "--no-site-packages", "good.py", "bad.py"],
                             cwd=tmp_path, env={"MYPYPATH": str(PACKAGE.parent), "PATH": ""}, capture_output=True, text=True, timeout=300)
    lines = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert len(lines) == len(BAD), checked.stdout + checked.stderr
    for number, (line, (code, expected)) in enumerate(zip(lines, BAD.items()), 3):
        assert line.startswith(f"bad.py:{number}: ") and expected in line, f"{code}: {line}"
