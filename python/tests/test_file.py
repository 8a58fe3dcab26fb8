"""mox.file against a real object store: io objects, exceptions, shift."""
import csv
import gzip
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import zipfile

import pytest

import moxing as mox
from moxing import file as mf

import stores


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    if request.param == "local":
        return str(tmp_path)
    request.getfixturevalue("server")
    url = f"s3://python/{tmp_path.name}"
    mox.file.make_dirs(url)
    return url


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


def test_a_name_that_is_not_there():
    import moxing as mox
    with pytest.raises(AttributeError, match="no attribute 'rmove'; did you mean remove"):
        mox.file.rmove("/x", True)
    assert not hasattr(mox.file, "zzz")


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
