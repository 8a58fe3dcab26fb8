"""moxing/testing/file_system_conformance.h case by case through Python: what a user may rely on whatever the path begins with. Where
storages differ, the difference is a field of Storage."""
import dataclasses
import re

import pytest
import stores

import moxing as mox
from moxing import file as mf


@dataclasses.dataclass(frozen=True)
class Storage:
    name: str
    server: str = ""  # "": local disk
    tls: bool = False
    # A file and a folder of one name: not possible ("refuses"); possible, but the folder is not listed ("hides", MinIO); two
    # things side by side ("both").
    beside: str = "refuses"

    @property
    def local(self):
        return not self.server


STORAGES = [
    Storage("local"),
    Storage("versitygw", "versitygw"),
    Storage("versitygw_tls", "versitygw", tls=True),
    Storage("minio", "minio", beside="hides"),
    Storage("fake_store", "fake_store", beside="both"),
    Storage("minio_tls", "minio", tls=True, beside="hides"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return stores.make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", params=STORAGES, ids=lambda storage: storage.name)
def running(request, certificate, tmp_path_factory):
    """(Storage, its server, started for the cases of this storage)."""
    storage = request.param
    if storage.local:
        yield storage, None
        return
    with stores.Store(storage.server, tmp_path_factory.mktemp(storage.name), certificate if storage.tls else None) as server:
        yield storage, server


class Place:
    """An empty folder of the test's own on a storage."""

    def __init__(self, storage, root):
        self.storage, self.root = storage, root

    def __call__(self, name):
        return f"{self.root}/{name}"

    def put(self, name, data="1"):
        """Writes a file; a local disk needs its folders first."""
        if self.storage.local:
            mf.make_dirs(self(name).rpartition("/")[0])
        mf.write(self(name), data)


@pytest.fixture
def place(running, request, tmp_path):
    storage, server = running
    if storage.local:
        return Place(storage, str(tmp_path))
    server.use(mf, retry=10, retry_wait=0.02, list_max_keys=1000)
    bucket = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_"))
    mf.make_dirs(f"s3://{bucket}")
    return Place(storage, f"s3://{bucket}")


def test_write_read_back_replace_append(place):
    path = place("a.txt")
    assert not mf.exists(path)
    mf.write(path, "first")
    assert mf.read(path) == "first"
    mf.write(path, b"\0\xff\n", binary=True)
    assert mf.read(path, binary=True) == b"\0\xff\n"
    mf.append(path, "tail")
    assert mf.read(path, binary=True) == b"\0\xff\ntail"
    mf.append(place("made.txt"), "by append")
    assert mf.read(place("made.txt")) == "by append"


def test_empty_file(place):
    mf.write(place("empty"), "")
    assert mf.exists(place("empty")) and not mf.is_directory(place("empty"))
    assert mf.read(place("empty")) == "" and mf.get_size(place("empty")) == 0
    mf.copy(place("empty"), place("empty2"))
    assert mf.read(place("empty2")) == ""


def test_large_content_goes_in_parts(place):
    data = bytes(range(256)) * (23 << 12) + b"!"
    mf.write(place("large"), data, binary=True)
    assert mf.read(place("large"), binary=True) == data
    mf.append(place("large"), b"end", binary=True)
    assert mf.read(place("large"), binary=True) == data + b"end"


def test_append_remote_joins_of_any_size(place):
    large = "L" * (6 << 20)
    mf.write(place("small"), "small")
    mf.write(place("large"), large)
    mf.append_remote(place("small"), place("new"))
    assert mf.read(place("new")) == "small"
    mf.append_remote(place("large"), place("new"))
    assert mf.read(place("new")) == "small" + large
    mf.append_remote(place("small"), place("new"))
    assert mf.read(place("new")) == "small" + large + "small"


def test_missing_things(place):
    no = place("no")
    for call in (mf.read, mf.stat, mf.get_size, mf.list_directory, mf.File, lambda p: mf.copy(p, place("b")),
                 lambda p: mf.rename(p, place("b")), lambda p: list(mf.scan_dir(p))):
        with pytest.raises(mf.MoxFileNotExistsException if call is not mf.File else FileNotFoundError):
            call(no)
        with pytest.raises(FileNotFoundError):
            call(no)
    assert not mf.is_directory(no)
    mf.remove(no)
    mf.remove(no, recursive=True)
    assert mf.glob(place("no*")) == [] and list(mf.walk(no)) == []


def test_errors_name_operation_and_path(place):
    with pytest.raises(mf.MoxFileNotExistsException) as e:
        mf.read(place("no/such"))
    assert f"read '{place('no/such')}" in str(e.value)
    if not place.storage.local:
        assert e.value.resp.status == 404 and e.value.resp.code == "NoSuchKey"


def test_stat(place):
    place.put("d/f", "12345")
    st = mf.stat(place("d/f"))
    assert st.length == st.st_size == 5 and not st.is_directory and st.mtime_nsec > 1600000000000000000
    assert mf.stat(place("d")).is_directory and mf.stat(place("d/")).is_directory and mf.stat(place.root).is_directory
    assert not mf.exists(place("d/f/"))


def test_size_of_folders(place):
    place.put("d/a", "123")
    place.put("d/e/b", "4567")
    assert mf.get_size(place("d"), recursive=True) == 7
    assert mf.get_size(place("d")) == (7 if place.storage.local else 0)


def test_listings(place):
    for name in ("d/b.txt", "d/a-.txt", "d/a/x", "d/a/y/z", "d/c"):
        place.put(name)
    assert mf.list_directory(place("d")) == ["a-.txt", "a", "b.txt", "c"]
    assert mf.list_directory(place("d/"), remove_sep=False) == ["a-.txt", "a/", "b.txt", "c"]
    assert mf.list_directory(place("d"), skip_file=True) == ["a"]
    assert mf.list_directory(place("d"), skip_dir=True) == ["a-.txt", "b.txt", "c"]
    assert mf.list_directory(place("d"), recursive=True) == ["a-.txt", "a", "a/x", "a/y", "a/y/z", "b.txt", "c"]
    with pytest.raises(NotADirectoryError):
        mf.list_directory(place("d/c"))


def test_scan_dir_tells_kind_and_size(place):
    place.put("d/f", "123")
    place.put("d/g/h")
    f, g = mf.scan_dir(place("d"))
    assert (f.name, f.path, f.stat().length, f.is_file()) == ("f", place("d/f"), 3, True)
    assert g.is_dir() and not g.is_file()


def test_listing_over_several_pages(place):
    mf.set_auth(list_max_keys=3)
    names = [f"f{i}" for i in range(10)]
    for name in names:
        place.put("many/" + name)
    assert mf.list_directory(place("many")) == names
    assert mf.list_directory(place("many"), recursive=True) == names
    mf.remove(place("many"), recursive=True)
    assert not mf.exists(place("many"))


def test_walk_top_down_and_bottom_up(place):
    for name in ("w/a/1", "w/b/2", "w/3"):
        place.put(name)

    def seen(**options):
        for folder, dirs, files in mf.walk(place("w"), **options):
            dirs.sort()  # a local walk is os.walk, in the order of the disk
            yield folder.removeprefix(place.root), list(dirs), files

    down = [("/w", ["a", "b"], ["3"]), ("/w/a", [], ["1"]), ("/w/b", [], ["2"])]
    assert list(seen()) == down
    up = list(seen(topdown=False))
    assert sorted(up) == down and up[-1] == down[0]
    steered = []
    for folder, dirs, files in mf.walk(place("w")):
        dirs[:] = [name for name in dirs if name == "b"]
        steered.append((folder.removeprefix(place.root), dirs, files))
    assert steered == [("/w", ["b"], ["3"]), ("/w/b", [], ["2"])]


def test_glob(place):
    for name in ("g/a.jpg", "g/b.jpg", "g/c.png", "g/.hidden.jpg", "g/s/d.jpg", "g/s/t/e.jpg", "g/[x].jpg"):
        place.put(name)
    for pattern, found in (("g/*.jpg", ["g/[x].jpg", "g/a.jpg", "g/b.jpg"]), ("g/[ab].jpg", ["g/a.jpg", "g/b.jpg"]), ("g/[!a].jpg", ["g/b.jpg"]),
                           ("g/[[]x].jpg", ["g/[x].jpg"]), ("g/?.p?g", ["g/c.png"]), ("*/s/*.jpg", ["g/s/d.jpg"]),
                           ("g/**/*.jpg", ["g/[x].jpg", "g/a.jpg", "g/b.jpg", "g/s/d.jpg", "g/s/t/e.jpg"]), ("g/**/t/*", ["g/s/t/e.jpg"]),
                           ("g/*/", ["g/s/"]), ("g/a.jpg", ["g/a.jpg"]), ("g/.*.jpg", ["g/.hidden.jpg"])):
        assert mf.glob(place(pattern)) == [place(name) for name in found], pattern


def test_making_folders(place):
    with pytest.raises(FileNotFoundError):
        mf.mk_dir(place("p/q"))
    mf.mk_dir(place("p"))
    mf.mk_dir(place("p/q"))
    assert mf.is_directory(place("p/q")) and mf.list_directory(place("p/q")) == []
    with pytest.raises(FileExistsError):
        mf.mk_dir(place("p"))
    mf.make_dirs(place("m/n/o"))
    mf.make_dirs(place("m/n/o"))
    assert mf.is_directory(place("m/n")) and mf.list_directory(place("m"), recursive=True) == ["n", "n/o"]


def test_remove_follows_the_table(place):
    """The manual's six cases."""

    def state():
        return mf.exists(place("r/file")), mf.exists(place("r/dir/x"))

    for name, recursive, expected in [
            ("r/file", False, (False, True)),  # 1: only the file
            ("r/dir", True, (True, False)), ("r/dir/", True, (True, False)),  # 2: only the folder
            ("r/file/", False, (True, True)), ("r/file/", True, (True, True)),  # 3: nothing
            ("r/dir", False, (True, True)),  # 4: nothing
            ("r/dir/", False, (True, True)),  # 5: nothing
            ("r/file", True, (False, True))]:  # 6: only the file
        place.put("r/file")
        place.put("r/dir/x")
        mf.remove(place(name), recursive=recursive)
        assert state() == expected, (name, recursive)


def test_file_beside_folder_of_the_same_name(place):
    place.put("x/y", "below")
    if place.storage.beside == "refuses":
        with pytest.raises(mox.errors.Error):
            mf.write(place("x"), "file")
        assert mf.read(place("x/y")) == "below"
        return
    mf.write(place("x"), "file")
    assert mf.read(place("x")) == "file" and not mf.stat(place("x")).is_directory
    if place.storage.beside == "hides":
        assert mf.read(place("x/y")) == "below" and mf.list_directory(place.root) == ["x"]
        mf.remove(place("x"))
        assert mf.list_directory(place.root, recursive=True) == ["x", "x/y"]
        return
    assert mf.is_directory(place("x")) and mf.list_directory(place.root, remove_sep=False) == ["x", "x/"]
    mf.remove(place("x"))
    assert mf.list_directory(place.root, recursive=True) == ["x", "x/y"]
    mf.write(place("x"), "file")
    mf.remove(place("x/"), recursive=True)
    assert mf.read(place("x")) == "file" and not mf.exists(place("x/y"))
    place.put("x/y", "below")
    mf.remove(place("x"), recursive=True)  # each row of the table for its own thing: both go
    assert mf.list_directory(place.root) == []


def test_strange_names(place):
    names = ["with space", "plus+sign", "per%cent", "100%25", "quote'\"", "a&b=c;d", "k?q#f", "ünï/cødé/文件", "(a)!*~,$@:",
             "back\\slash", "<xml>&amp;", "trailing.", "tab\tin", "e\u0301"]
    for name in names:
        place.put("s/" + name, "of " + name)
        assert mf.read(place("s/" + name)) == "of " + name and mf.exists(place("s/" + name))
        with mf.File(place("s/" + name)) as f:
            assert f.read() == "of " + name
    assert sorted(mf.list_directory(place("s"), recursive=True, skip_dir=True)) == sorted(names)
    mf.copy(place("s/per%cent"), place("s2/plus+ &copy"))
    assert mf.read(place("s2/plus+ &copy")) == "of per%cent"
    mf.remove(place("s"), recursive=True)
    assert not mf.exists(place("s"))


def test_long_keys(place):
    key = "l/" + ("k" * 99 + "/") * 10
    key += "e" * (1024 - len(key))
    place.put(key, "deep")
    assert mf.read(place(key)) == "deep"
    assert mf.list_directory(place("l"), recursive=True, skip_dir=True) == [key[2:]]


def test_copy_and_rename(place):
    mf.write(place("a"), "data")
    mf.copy(place("a"), place("b/c"))
    assert mf.read(place("b/c")) == mf.read(place("a")) == "data"
    mf.rename(place("a"), place("b/d"))
    assert not mf.exists(place("a")) and mf.read(place("b/d")) == "data"
    mf.rename(place("b"), place("moved"))
    assert not mf.exists(place("b")) and mf.list_directory(place("moved")) == ["c", "d"]
    with pytest.raises(IsADirectoryError, match="copy_parallel"):
        mf.copy(place("moved"), place("other"))


def test_streams_read_seek_and_write(place):
    with mf.File(place("f"), "wb") as out:
        out.write(b"one ")
        out.write(b"two ")
        assert out.tell() == 8
        out.flush()
        assert mf.read(place("f"), binary=True) == b"one two "
        out.write(b"three")
    with mf.File(place("f"), "rb") as f:
        assert f.read(3) == b"one"
        assert f.seek(-5, 2) == 8
        assert f.read() == b"three"
        assert f.read() == b""
        assert f.seek(4) == 4
        assert f.read(4) == b"two "
    with mf.File(place("f"), "ab") as more:
        more.write(b"!")
    assert mf.read(place("f")) == "one two three!"
    with pytest.raises(FileNotFoundError):
        mf.File(place("none"), "rb")


def test_copy_and_sync_of_folders(place):
    for name in ["from/a", "from/d/b", "from/d/e/c"]:
        place.put(name, f"of {name}")
    mf.make_dirs(place("from/empty"))
    assert mf.copy_parallel(place("from"), place("to")).files == 3
    assert mf.list_directory(place("to"), recursive=True) == ["a", "d", "d/b", "d/e", "d/e/c", "empty"]
    assert mf.read(place("to/d/e/c")) == "of from/d/e/c"
    assert mf.sync(place("from"), place("to")).files == 0
    mf.write(place("from/a"), "OF from/a")  # as long as before
    mf.write(place("to/extra"), "x")
    summary = mf.sync(place("from"), place("to"), delete_extra=True)
    assert (summary.files, summary.deleted) == (1, 1)
    assert mf.read(place("to/a")) == "OF from/a"
    assert not mf.exists(place("to/extra"))


def test_the_two_suites_have_the_same_cases():
    source = (stores.ROOT / "include/moxing/testing/file_system_conformance.h").read_text()
    theirs = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in re.findall(r"TEST_P\(FileSystemConformance, (\w+)\)", source)}
    ours = {name.removeprefix("test_") for name in globals() if name.startswith("test_")} - {"the_two_suites_have_the_same_cases"}
    assert ours == theirs
