"""mox.file and the process that it is in: credentials, threads, forks, shift, other libraries."""
import builtins
import datetime
import hashlib
import hmac
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

import moxing as mox
from moxing import file as mf

import stores


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


def test_shift_takes_libraries_along(server, tmp_path):
    """numpy's text files, pandas, folders and access; in a process of its own, where pandas comes after the shift."""
    code = f"""
import os, sys
import moxing as mox
mox.file.set_auth(ak={stores.ACCESS!r}, sk={stores.SECRET!r}, server='http://127.0.0.1:{server.port}', path_style=True, region='us-east-1')
mox.file.shift('os', 'mox')
import numpy as np, pandas as pd
top = 's3://python/{tmp_path.name}'
os.makedirs(top + '/a/b')
np.savetxt(top + '/x.txt', np.arange(6).reshape(2, 3), fmt='%d')
np.savetxt(top + '/x.txt.gz', np.arange(6).reshape(2, 3), fmt='%d')
assert mox.file.read(top + '/x.txt') == '0 1 2\\n3 4 5\\n'
assert np.loadtxt(top + '/x.txt').tolist() == np.genfromtxt(top + '/x.txt.gz').tolist() == [[0, 1, 2], [3, 4, 5]]
frame = pd.DataFrame({{'c': [1, 2], 'd': ['e', 'f']}})
for name in ('t.csv', 't.csv.gz'):
    frame.to_csv(top + '/' + name, index=False)
    assert pd.read_csv(top + '/' + name).equals(frame), name
frame.to_json(top + '/t.json')
assert pd.read_json(top + '/t.json').equals(frame)
frame.to_pickle(top + '/t.pkl')
assert pd.read_pickle(top + '/t.pkl').equals(frame)
assert os.access(top + '/x.txt', os.R_OK) and not os.access(top + '/none', os.R_OK)
for call, error in ((lambda: os.rmdir(top + '/a'), OSError), (lambda: os.rmdir(top + '/x.txt'), NotADirectoryError),
                    (lambda: os.rmdir(top + '/none'), FileNotFoundError), (lambda: os.remove(top + '/a'), IsADirectoryError)):
    try:
        call()
    except error:
        pass
    else:
        raise AssertionError(error)
os.removedirs(top + '/a/b')
assert not os.path.exists(top + '/a') and os.path.exists(top + '/x.txt')
with open(top + '/x.txt') as f:
    assert f.readline() == '0 1 2\\n'
    place = f.tell()
    rest = f.read()
    f.seek(place)
    assert f.read() == rest == '3 4 5\\n'
mox.file.shift('mox', 'os')
for call in (lambda: np.loadtxt(top + '/x.txt'), lambda: pd.read_csv(top + '/t.csv')):
    try:
        call()
    except Exception:
        pass
    else:
        raise AssertionError('still shifted')
np.savetxt({str(tmp_path / 'local.txt')!r}, [1.0])
print('all')
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "all\n", done.stderr


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
