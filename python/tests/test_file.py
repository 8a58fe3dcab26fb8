"""mox.file against a real object store: io objects, exceptions, shift."""
import builtins
import csv
import datetime
import gzip
import hashlib
import hmac
import io
import json
import logging
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
import zipfile

import pytest

import moxing as mox
from moxing import file as mf

import stores


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with stores.Store("versitygw", tmp_path_factory.mktemp("store")) as store:
        store.use(mox.file, retry=2)
        mox.file.make_dirs("s3://python")
        yield store


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    if request.param == "local":
        return str(tmp_path)
    request.getfixturevalue("server")
    url = f"s3://python/{tmp_path.name}"
    mox.file.make_dirs(url)
    return url


@pytest.fixture
def shifted():
    mox.file.shift("os", "mox")
    yield
    mox.file.shift("mox", "os")


def test_read_write_append(root):
    mf.write(root + "/a.txt", "héllo")
    assert mf.read(root + "/a.txt") == "héllo"
    assert mf.read(root + "/a.txt", binary=True) == "héllo".encode()
    mf.append(root + "/a.txt", b"\xff", binary=True)
    assert mf.read(root + "/a.txt", binary=True) == "héllo".encode() + b"\xff"
    mf.write(root + "/b.bin", memoryview(bytearray(b"view")), binary=True)
    mf.append_remote(root + "/b.bin", root + "/a.txt")
    assert mf.get_size(root + "/a.txt") == 6 + 1 + 4
    assert isinstance(mf.stat(root + "/a.txt").st_mtime, float)


def test_files_are_io_objects(root):
    with mf.File(root + "/t.txt", "w") as f:
        assert isinstance(f, io.TextIOBase) and isinstance(f, mf.File)
        assert f.tell() == 0
        f.write("one\ntwo\n")
        f.writelines(["three"])
        assert f.tell() == 13
    with mf.File(root + "/t.txt", "a") as f:
        assert f.tell() == 13
    with mf.File(root + "/t.txt") as f:
        assert f.readable() and not f.writable() and f.seekable() and not f.isatty()
        assert f.next() == "one\n" and f.readline() == "two\n" and f.read() == "three"
        assert f.size() == 13 and f.name == root + "/t.txt" and f.mode == "r"
        f.seek(0)
        assert list(f) == ["one\n", "two\n", "three"]
        with pytest.raises(io.UnsupportedOperation):
            f.write("x")
    for mode in ("br", "rb"):
        with mf.File(root + "/t.txt", mode) as f:
            assert isinstance(f, io.BufferedIOBase) and f.read(3) == b"one"
    with mf.File(root + "/t.txt", "br+") as f:
        f.seek(4)
        f.write(b"TWO")
    with mf.File(root + "/t.txt", "ab") as f:
        f.write(b"!")
    assert mf.read(root + "/t.txt") == "one\nTWO\nthree!"
    with pytest.raises(ValueError, match="mode"):
        mf.File(root + "/t.txt", "rw")
    with pytest.raises(FileNotFoundError):
        mf.File(root + "/none")


def test_what_takes_files_takes_ours(root):
    import h5py
    import numpy as np
    with mf.File(root + "/c.csv", "w") as f:
        csv.writer(f, lineterminator="\n").writerows([[1, "a"], [2, "b"]])
    with mf.File(root + "/c.csv") as f:
        assert list(csv.reader(f)) == [["1", "a"], ["2", "b"]]
    with mf.File(root + "/j", "w") as f:
        json.dump({"k": [1, 2]}, f)
    with mf.File(root + "/j") as f:
        assert json.load(f) == {"k": [1, 2]}
    with mf.File(root + "/p", "wb") as f:
        pickle.dump(list(range(1000)), f)
    with mf.File(root + "/p", "rb") as f:
        assert pickle.load(f) == list(range(1000))
    array = np.arange(300000).reshape(300, 1000)
    with mf.File(root + "/n.npy", "wb") as f:
        np.save(f, array)
    with mf.File(root + "/n.npy", "rb") as f:
        assert (np.load(f) == array).all()
    with mf.File(root + "/z.zip", "wb") as f, zipfile.ZipFile(f, "w") as z:
        z.writestr("inside.txt", "zipped")
    with mf.File(root + "/z.zip", "rb") as f, zipfile.ZipFile(f) as z:
        assert z.read("inside.txt") == b"zipped"
    with mf.File(root + "/g.gz", "wb") as f, gzip.GzipFile(fileobj=f, mode="wb") as g:
        g.write(b"gzipped" * 1000)
    with mf.File(root + "/g.gz", "rb") as f, gzip.GzipFile(fileobj=f) as g:
        assert g.read() == b"gzipped" * 1000
    with mf.File(root + "/h.h5", "wb+") as f, h5py.File(f, "w") as h:
        h["data"] = array
    with mf.File(root + "/h.h5", "rb") as f, h5py.File(f, "r") as h:
        assert (h["data"][...] == array).all()


def test_pandas(root, shifted):
    import pandas as pd
    table = pd.DataFrame({"name": ["é", "b,c", None], "value": [1.5, 2.5, 3.5]})
    with mf.File(root + "/t.csv", "w") as f:
        table.to_csv(f, index=False)
    for mode in ("r", "rb"):
        with mf.File(root + "/t.csv", mode) as f:
            pd.testing.assert_frame_equal(pd.read_csv(f), table)
    with open(root + "/shifted.csv", "wb") as f:  # what users of shift write
        table.to_csv(f, index=False, mode="wb", encoding="utf-8")
    with open(root + "/shifted.csv") as f:
        assert sum(len(chunk) for chunk in pd.read_csv(f, chunksize=2)) == 3
    with mf.File(root + "/t.json", "w") as f:
        table.to_json(f)
    with mf.File(root + "/t.json") as f:
        pd.testing.assert_frame_equal(pd.read_json(f), table)
    with mf.File(root + "/t.pkl", "wb") as f:
        table.to_pickle(f)
    with mf.File(root + "/t.pkl", "rb") as f:
        pd.testing.assert_frame_equal(pd.read_pickle(f), table)


def test_a_read_copies_once(server, tmp_path):
    """The bytes that read() returns are the ones that the transfer wrote: memory grows by their size, not by twice."""
    (tmp_path / "large").write_bytes(os.urandom(1 << 20) * 256)
    mf.copy(str(tmp_path / "large"), "s3://python/large")
    for url in ("s3://python/large", str(tmp_path / "large")):
        code = ("import moxing as mox, resource\n"
                f"mox.file.set_auth(ak='{stores.ACCESS}', sk='{stores.SECRET}', server='{server.endpoint}')\n"
                "mox.file.exists('s3://python/large')\n"
                "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
                "before = peak()\n"
                f"data = mox.file.read({url!r}, binary=True)\n"
                "assert len(data) == 256 << 20\n"
                "assert peak() - before < 256 + 40, (before, peak())\n")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    mf.remove("s3://python/large")


def test_logging_stream(root):
    stream = mf.File(root + "/log.txt", "w")
    logger = logging.getLogger("mox-test-stream")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("first")
    assert mf.read(root + "/log.txt") == "first\n"  # a handler flushes each record
    logger.warning("second")
    stream.close()
    assert mf.read(root + "/log.txt") == "first\nsecond\n"
    logger.handlers.clear()


def test_folders(root):
    mf.make_dirs(root + "/d/e")
    mf.write(root + "/d/f", "1")
    mf.write(root + "/d/e/g", "22")
    assert mf.list_directory(root + "/d") == ["e", "f"]
    assert mf.list_directory(root + "/d", recursive=True, skip_dir=True) == ["e/g", "f"]
    assert [(e.name, e.is_dir(), e.path) for e in mf.scan_dir(root + "/d")] == [("e", True, root + "/d/e"), ("f", False, root + "/d/f")]
    assert list(mf.walk(root + "/d")) == [(root + "/d", ["e"], ["f"]), (root + "/d/e", [], ["g"])]
    assert list(mf.walk(root + "/d", topdown=False))[-1][0] == root + "/d"
    assert mf.glob(root + "/d/**/?") == [root + "/d/e", root + "/d/e/g", root + "/d/f"]
    with pytest.raises(OSError):
        mf.mk_dir(root + "/no/parent")
    with pytest.raises(FileExistsError):
        mf.mk_dir(root + "/d")
    summary = mf.copy_parallel(root + "/d", root + "/copy")
    assert summary.files == 2 and not summary.failed
    assert mf.sync(root + "/d", root + "/copy").files == 0
    mf.rename(root + "/copy", root + "/moved")
    mf.remove(root + "/moved", recursive=True)
    assert not mf.exists(root + "/moved")


def test_exceptions(server, tmp_path):
    with pytest.raises(mf.MoxFileNotExistsException):
        mf.stat("s3://python/not_exists")
    for kind in (mf.MoxFileRespException, mf.MoxFileNotExistsException, FileNotFoundError, OSError, mox.errors.Error):
        with pytest.raises(kind) as e:
            mf.read("s3://python/xxx")
    assert e.value.resp.status == 404 and e.value.resp.code == "NoSuchKey" and e.value.resp.resource == "/python/xxx"
    with pytest.raises(IsADirectoryError, match="copy_parallel"):
        mf.copy(str(tmp_path), "s3://python/x")
    with pytest.raises(ValueError, match="s3, obs"):
        mf.read("gs://bucket/key")
    with pytest.raises(mf.CopyError) as e:
        mf.copy_parallel(str(tmp_path), "s3://python/y", file_list=["missing"])
    assert len(e.value.summary["failed"]) == 1


def test_the_manuals_examples(server, tmp_path):
    """Section 1.1.2.4, in its order."""
    mf.make_dirs("s3://bucket-name")
    mf.make_dirs("s3://bucket-name/sub_dir_0")
    mf.write("s3://bucket-name/obs_file.txt", "Hello World!")
    mf.append("s3://bucket-name/obs_file.txt", "\nend of file.")
    assert mf.read("s3://bucket-name/obs_file.txt") == "Hello World!\nend of file."
    assert mf.list_directory("s3://bucket-name") == ["obs_file.txt", "sub_dir_0"]
    mf.make_dirs("s3://bucket-name/sub_dir_0/sub_dir_1")
    assert mf.list_directory("s3://bucket-name", recursive=True) == ["obs_file.txt", "sub_dir_0", "sub_dir_0/sub_dir_1"]
    assert mf.exists("s3://bucket-name/sub_dir_0/sub_dir_1") and mf.is_directory("s3://bucket-name/sub_dir_0/sub_dir_1")
    assert mf.get_size("s3://bucket-name/obs_file.txt") == 25
    stat = mf.stat("s3://bucket-name/obs_file.txt")
    assert stat.length == 25 and stat.mtime_nsec > 0 and not stat.is_directory
    local = str(tmp_path / "obs_file.txt")
    mf.rename("s3://bucket-name/obs_file.txt", "s3://bucket-name/obs_file_2.txt")
    mf.rename("s3://bucket-name/obs_file_2.txt", local)
    mf.rename(local, "s3://bucket-name/obs_file.txt")
    assert not os.path.exists(local) and mf.list_directory("s3://bucket-name", skip_dir=True) == ["obs_file.txt"]
    mf.copy("s3://bucket-name/obs_file.txt", "s3://bucket-name/obs_file_2.txt")
    mf.copy("s3://bucket-name/obs_file_2.txt", local)
    mf.copy(local, "s3://bucket-name/sub_dir_0/obs_file.txt")
    mf.copy_parallel("s3://bucket-name/sub_dir_0", "s3://bucket-name/sub_dir_1")
    mf.copy_parallel("s3://bucket-name/sub_dir_1", str(tmp_path / "sub_dir_0"))
    mf.copy_parallel(str(tmp_path / "sub_dir_0"), "s3://bucket-name/sub_dir_2", file_list=["obs_file.txt"], threads=0, is_processing=False)
    assert mf.list_directory("s3://bucket-name/sub_dir_2", recursive=True) == ["obs_file.txt"]
    f = mf.File(local, "wb")
    f.close()
    with mf.File("s3://bucket-name/obs_file.txt", "rb+") as f:
        assert f.read() == b"Hello World!\nend of file."
    with mf.File("s3://bucket-name/obs_file.txt", "r") as f:
        assert f.readlines() == ["Hello World!\n", "end of file."]
    mf.remove("s3://bucket-name/obs_file.txt", recursive=False)
    mf.remove("s3://bucket-name/sub_dir_0/sub_dir_1", recursive=True)
    assert mf.list_directory("s3://bucket-name/sub_dir_0") == ["obs_file.txt"]
    assert mf.list_directory("s3://bucket-name", skip_dir=True) == ["obs_file_2.txt"]


def temporary_credentials(store):
    """(access key, secret key, session token) that MinIO's AssumeRole gives its owner."""
    body = "Action=AssumeRole&Version=2011-06-15&DurationSeconds=900"
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/us-east-1/sts/aws4_request"
    hashed = hashlib.sha256(body.encode()).hexdigest()
    host = f"127.0.0.1:{store.port}"
    canonical = f"POST\n/\n\nhost:{host}\nx-amz-content-sha256:{hashed}\nx-amz-date:{now}\n\nhost;x-amz-content-sha256;x-amz-date\n{hashed}"
    key = ("AWS4" + stores.SECRET).encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    request = urllib.request.Request(f"http://{host}/", body.encode(), {
        "Content-Type": "application/x-www-form-urlencoded", "x-amz-date": now, "x-amz-content-sha256": hashed,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={stores.ACCESS}/{scope}, "
                         f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"})
    answer = urllib.request.urlopen(request).read().decode()
    return [re.search(f"<{name}>(.*?)</{name}>", answer)[1] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]


def test_session_token(tmp_path):
    with stores.Store("minio", tmp_path / "store") as store:
        code = ("import sys, moxing as mox\n"
                "mox.file.make_dirs('s3://session')\n"
                "mox.file.write('s3://session/large', b'x' * (20 << 20), binary=True)\n"
                "assert mox.file.read('s3://session/large', binary=True) == b'x' * (20 << 20)\n"
                "mox.file.set_auth(token='a-wrong-token')\n"
                "try: mox.file.read('s3://session/large')\n"
                "except mox.file.MoxFileRespException as e: assert 400 <= e.resp.status < 500 and 'a-wrong-token' not in str(e), e\n"
                "else: sys.exit('a wrong token was taken')\n")
        subprocess.run([sys.executable, "-c", "import moxing as mox; mox.file.exists('s3://session')"], check=True, env=store.env)  # it answers
        access, secret, token = temporary_credentials(store)
        env = {**store.env, "AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}
        subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)


def test_names_that_are_no_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    mf.write(str(tmp_path / name), "x")
    assert mf.list_directory(str(tmp_path)) == [name] and mf.read(tmp_path / name) == "x"


def test_threads_run_while_others_wait(server):
    """The GIL is released: a thread counts on while another one reads from a server that says nothing."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    code = ("import moxing as mox, threading, time\n"
            f"mox.file.set_auth(ak='a', sk='b', server='127.0.0.1', port={silent.getsockname()[1]}, is_secure=False, retry=1, client_timeout=2)\n"
            "n = 0\n"
            "def read():\n"
            "    try: mox.file.read('s3://b/k')\n"
            "    except mox.file.MoxFileRespException: pass\n"
            "t = threading.Thread(target=read); t.start()\n"
            "while t.is_alive(): time.sleep(0.01); n += 1\n"
            "assert n > 5, n\n")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    silent.close()


def test_many_threads(server):
    errors = []

    def work(i):
        try:
            for j in range(10):
                mf.write(f"s3://python/threads/{i}-{j}", str(i * j))
                assert mf.read(f"s3://python/threads/{i}-{j}") == str(i * j)
        except Exception as e:
            errors.append(e)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not errors and len(mf.list_directory("s3://python/threads")) == 160


def test_after_fork(server):
    mf.write("s3://python/forked", "x" * 100)
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if mf.read("s3://python/forked") == "x" * 100 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


def test_shift(server, shifted, tmp_path):
    with open("s3://python/shift/hello.txt", "w") as f:
        f.write("hello")
    with open("s3://python/shift/hello.txt") as f:
        assert f.read() == "hello"
    assert os.listdir("s3://python/shift") == ["hello.txt"]
    os.makedirs("s3://python/shift/a/b", exist_ok=True)
    with pytest.raises(FileExistsError):
        os.makedirs("s3://python/shift/a/b")
    assert os.path.isdir("s3://python/shift/a") and os.path.isfile("s3://python/shift/hello.txt")
    assert os.path.getsize("s3://python/shift/hello.txt") == os.stat("s3://python/shift/hello.txt").st_size == 5
    import glob
    assert glob.glob("s3://python/shift/*.txt") == ["s3://python/shift/hello.txt"]
    shutil.copyfile("s3://python/shift/hello.txt", tmp_path / "down")
    assert (tmp_path / "down").read_text() == "hello"
    shutil.copytree("s3://python/shift", str(tmp_path / "tree"))
    assert sorted(os.listdir(tmp_path / "tree")) == ["a", "hello.txt"]
    os.rename("s3://python/shift/hello.txt", "s3://python/shift/a/moved")
    assert [(r, d, f) for r, d, f in os.walk("s3://python/shift/a")][0][2] == ["moved"]
    with os.scandir("s3://python/shift/a") as entries:
        assert {e.name for e in entries} == {"b", "moved"}
    os.remove("s3://python/shift/a/moved")
    with pytest.raises(FileNotFoundError):
        os.remove("s3://python/shift/a/moved")
    with pytest.raises(IsADirectoryError):
        os.remove("s3://python/shift/a")
    shutil.rmtree("s3://python/shift")
    assert not os.path.exists("s3://python/shift")
    with pytest.raises(FileNotFoundError):
        shutil.rmtree("s3://python/shift")


def test_shift_is_undone():
    before = (builtins.open, os.stat, os.scandir, shutil.rmtree, set(os.supports_follow_symlinks))
    mox.file.shift("os", "mox")
    mox.file.shift("os", "mox")
    assert builtins.open is not before[0]
    mox.file.shift("mox", "os")
    assert (builtins.open, os.stat, os.scandir, shutil.rmtree, set(os.supports_follow_symlinks)) == before
    with pytest.raises(ValueError):
        mox.file.shift("os", "os")


@pytest.mark.parametrize("module", ["test_os", "test_glob", "test_shutil", "test_posixpath", "test_genericpath"])
def test_cpythons_own_tests_pass_with_shift_on(module):
    pytest.importorskip("test.support", reason="this Python comes without its own tests")
    if __import__("importlib.util").util.find_spec("test." + module) is None:
        pytest.skip(f"this Python comes without test.{module}")
    code = (f"import unittest, moxing as mox, test.{module} as m; mox.file.shift('os', 'mox'); "
            "r = unittest.TextTestRunner(verbosity=0).run(unittest.defaultTestLoader.loadTestsFromModule(m)); "
            "raise SystemExit(0 if r.wasSuccessful() and r.testsRun > len(r.skipped) else 1)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_older_module_paths(server):
    import moxing.framework.file as framework
    from moxing.framework.file import file_io
    assert framework.File is mf.File and framework.copy_parallel is mf.copy_parallel and file_io.read is mf.read


@pytest.mark.parametrize("imports", ["import tensorflow, moxing as mox", "import moxing as mox; mox.file; import tensorflow",
                                     "import moxing.tensorflow as mox; import tensorflow"])
def test_https_beside_tensorflow(tmp_path, imports):
    """TensorFlow exports curl and OpenSSL of its own: ours must not be mixed up with them, whichever came first."""
    certificate = stores.make_certificate(tmp_path)
    (tmp_path / "store").mkdir()
    store = stores.Store("versitygw", tmp_path / "store", certificate)
    code = (f"{imports}\n"
            "mox.file.make_dirs('s3://secure')\n"
            "mox.file.write('s3://secure/large', b'x' * (20 << 20), binary=True)\n"
            "assert mox.file.read('s3://secure/large', binary=True) == b'x' * (20 << 20)\n"
            "if hasattr(mox, 'run'):\n"
            "    assert tensorflow.io.gfile.stat('s3://secure/large').length == 20 << 20\n")
    try:
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env={**store.env, "MOX_CA_BUNDLE": certificate[0]})
        untrusted = subprocess.run([sys.executable, "-c", code], timeout=120, env=store.env, capture_output=True, text=True)
        assert untrusted.returncode != 0 and "certificate" in untrusted.stderr
    finally:
        store.stop()


def test_places_that_nobody_means_are_refused(server, tmp_path, monkeypatch):
    """By remove, rename and sync with delete_extra, before anything goes; a whole bucket only with bucket=True."""
    (tmp_path / "home/work").mkdir(parents=True)
    (tmp_path / "home/work/f").write_text("1")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home/work")
    mf.make_dirs("s3://whole")
    mf.write("s3://whole/a/f", "1")
    for place in (str(tmp_path / "home"), tmp_path / "home/work", ".", "..", tmp_path, "s3://whole", "obs://whole/"):
        for work in (lambda: mf.remove(place, recursive=True), lambda: mf.sync(tmp_path / "empty", place, delete_extra=True),
                     lambda: mf.rename(place, tmp_path / "moved")):
            with pytest.raises(ValueError, match="refused"):
                work()
    assert mf.read("s3://whole/a/f") == "1" and (tmp_path / "home/work/f").read_text() == "1"
    with pytest.raises(ValueError, match="same file"):
        mf.append_remote("f", tmp_path / "home/work/f")
    assert mf.sync(tmp_path / "empty", "s3://whole", delete_extra=True, bucket=True).deleted == 1
    mf.remove("s3://whole", recursive=True, bucket=True)
    assert not mf.exists("s3://whole")
