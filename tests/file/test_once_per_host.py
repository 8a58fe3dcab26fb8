"""One process of a host copies, the others wait: by `mox file cp --once_per_host` and by mox.file.copy_once_per_host."""
import json
import re
import subprocess
import sys
import threading

import pytest

import stores
from test_cli import MOX, mox  # noqa: F401

FILES = {f"f{i}": bytes([i]) * 5000 for i in range(6)}
SCRIPT = """
import json, sys
from moxing import file
try:
    print(json.dumps(file.copy_once_per_host(sys.argv[1], sys.argv[2], threads=2)._asdict()))
except Exception as error:
    print(type(error).__mro__, error, file=sys.stderr)
    sys.exit(1)
"""


class Copy:
    """A process that copies or waits; its standard error is read as it comes."""

    def __init__(self, how, world, src, dst):
        command = {"program": [MOX, "file", "cp", "-r", "--once_per_host", "--threads=2", "--json", src, dst],
                   "python": [sys.executable, "-c", SCRIPT, src, dst]}[how]
        env = {**world.env, "MOX_SILENT_MODE": "0", "MOX_RETRY": "1",
               "PYTHONPATH": str(stores.ROOT / "build/release/python")}
        self.process = subprocess.Popen([str(word) for word in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = ""

    def waits_for(self, other):
        while f"waiting for process {other.process.pid} " not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line

    def end(self):
        out, err = self.process.communicate(timeout=60)
        self.said += err
        return self.process.returncode, out


@pytest.fixture
def gated(world):
    """A source in the store, and a gate before what a test names: `world.block(test)`."""
    for name, data in FILES.items():
        world.put(f"t/data/{name}", data)
    gate, arrived = threading.Event(), threading.Event()

    def block(test):
        gate.clear()
        arrived.clear()

        def before(asked):
            if test(asked) and not gate.is_set():
                arrived.set()
                gate.wait(60)

        world.proxy.before = before

    world.block, world.gate, world.arrived = block, gate, arrived
    yield world
    gate.set()


def gets(world):
    return sum(method == "GET" and "/t/data/f" in path for method, path in world.proxy.seen)


@pytest.fixture(params=["program", "python"])
def how(request):
    return request.param


def test_one_copies_and_the_others_find_all_there(how, gated, tmp_path):
    gated.block(lambda asked: "/t/data/f3" in asked.path)
    dst = tmp_path / "cache/data"
    first = Copy(how, gated, "s3://bkt/t/data", dst)
    assert gated.arrived.wait(30)
    others = [Copy(how, gated, "s3://bkt/t/data", dst) for _ in range(2)]
    for other in others:
        other.waits_for(first)
    gated.gate.set()
    results = [copy.end() for copy in (first, *others)]
    assert [code for code, _ in results] == [0, 0, 0], [copy.said for copy in (first, *others)]
    assert [json.loads(out)["files"] for _, out in results] == [6, 0, 0]
    assert [json.loads(out)["skipped"] for _, out in results] == [0, 6, 6]
    assert gets(gated) == 6
    assert {path.name: path.read_bytes() for path in dst.iterdir()} == FILES
    assert [path.name for path in dst.parent.iterdir()] == ["data"], "the lock's file is gone"


def test_where_the_first_is_killed_the_next_goes_on(how, gated, tmp_path):
    gated.block(lambda asked: "/t/data/f3" in asked.path)
    dst = tmp_path / "data"
    first = Copy(how, gated, "s3://bkt/t/data", dst)
    assert gated.arrived.wait(30)
    others = [Copy(how, gated, "s3://bkt/t/data", dst) for _ in range(2)]
    for other in others:
        other.waits_for(first)
    first.process.kill()
    first.end()
    gated.gate.set()
    results = [other.end() for other in others]
    assert [code for code, _ in results] == [0, 0], [other.said for other in others]
    counts = sorted((json.loads(out)["files"], json.loads(out)["skipped"]) for _, out in results)
    assert counts[0] == (0, 6) and counts[1][0] >= 1 and sum(counts[1]) == 6, "one has copied what was missing, the other nothing"
    assert {path.name: path.read_bytes() for path in dst.iterdir() if path.name in FILES} == FILES
    assert not (tmp_path / "data.moxlock").exists()


def test_where_the_copy_fails_all_fail_with_its_error_and_nobody_else_tries(how, gated, tmp_path):
    gated.block(lambda asked: "/t/data/f3" in asked.path)
    gated.answer(lambda a: a.replace(status=403, headers={}, body=b"<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>"),
                 method="GET", path="/t/data/f3")
    dst = tmp_path / "data"
    first = Copy(how, gated, "s3://bkt/t/data", dst)
    assert gated.arrived.wait(30)
    others = [Copy(how, gated, "s3://bkt/t/data", dst) for _ in range(2)]
    for other in others:
        other.waits_for(first)
    gated.gate.set()
    assert first.end()[0] == 1 and "AccessDenied" in first.said
    for other in others:
        assert other.end()[0] == 1
        assert "copy 's3://bkt/t/data/f3' at " in other.said and "status 403 AccessDenied: not yours" in other.said, other.said
        assert re.search(rf"said by process {first.process.pid} on \S+, which copied for this host", other.said), other.said
    assert gets(gated) == 6, "the first's"

    gated.proxy.edit = lambda answer: answer  # the next run, which does not wait, tries again
    late = Copy(how, gated, "s3://bkt/t/data", dst)
    assert late.end()[0] == 0, late.said
    assert {path.name: path.read_bytes() for path in dst.iterdir() if path.name in FILES} == FILES
    assert not (tmp_path / "data.moxlock").exists()


def test_a_missing_source_is_missing_for_all(gated, tmp_path):
    gated.block(lambda asked: True)
    first = Copy("program", gated, "s3://bkt/t/none", tmp_path / "data")
    assert gated.arrived.wait(30)
    other = Copy("python", gated, "s3://bkt/t/none", tmp_path / "data")
    other.waits_for(first)
    elsewhere = Copy("program", gated, "s3://bkt/t/data", tmp_path / "data")
    elsewhere.waits_for(first)
    gated.gate.set()
    assert first.end()[0] == 1
    assert other.end()[0] == 1 and "FileNotFoundError" in other.said and "s3://bkt/t/none" in other.said
    assert elsewhere.end()[0] == 0, "another source: that error is not its own"


def test_wrong_use(mox, tmp_path):
    done = mox("cp", "--once_per_host", tmp_path, "s3://cli/x", code=2)
    assert "add -r" in done.stderr
    done = mox("cp", "-r", "--once_per_host", tmp_path, "s3://cli/x", code=2)
    assert "copy_once_per_host to 's3://cli/x': the destination is in a store, expected a folder of this host" in done.stderr
    (tmp_path / "one").write_text("1")
    mox("cp", "--once_per_host", tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_text() == "1"
    mox("cp", "--once_per_host", tmp_path / "one", f"{tmp_path}/")  # the same file
    (tmp_path / "folder").mkdir()
    mox("cp", "--once_per_host", tmp_path / "one", tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["one"]


def test_a_file_of_the_locks_name_that_is_none_stays_as_it_is(mox, tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "two.moxlock").write_text("mine\n")
    done = mox("cp", "--once_per_host", tmp_path / "one", tmp_path / "two", code=1)
    assert "two.moxlock' is no lock of MoXing's" in done.stderr and not (tmp_path / "two").exists()
    assert (tmp_path / "two.moxlock").read_text() == "mine\n"
    (tmp_path / "secret").write_text("")
    (tmp_path / "three.moxlock").symlink_to(tmp_path / "secret")
    assert "three.moxlock" in mox("cp", "--once_per_host", tmp_path / "one", tmp_path / "three", code=1).stderr
    (tmp_path / "four.moxlock").write_text("copying\n1\n2\nprocess 1 on gone\n\n")  # a process was killed here
    mox("cp", "--once_per_host", tmp_path / "one", tmp_path / "four")
    assert (tmp_path / "four").read_text() == "1" and not (tmp_path / "four.moxlock").exists()
