"""While shifted: numpy's text files and pandas' readers and writers take s3:// and obs:// paths, as their open() does on disks."""
import functools
import gzip
import importlib.util
import shutil
import sys
import tempfile

from moxing.file._paths import is_remote


def _numpy_open(original):
    """numpy.lib._datasource.open: what savetxt, loadtxt and genfromtxt open their files with."""
    @functools.wraps(original)
    def opened(path, mode="r", destpath=".", encoding=None, newline=None):
        if not is_remote(path):
            return original(path, mode, destpath, encoding, newline)
        import moxing.file
        if not str(path).endswith(".gz"):
            return moxing.file.File(path, mode, encoding=None if "b" in mode else encoding, newline=newline)
        raw = moxing.file.File(path, mode.replace("t", "").replace("b", "") + "b")
        return gzip.open(raw, mode, encoding=encoding, newline=newline)

    return opened


def _pandas_open(original):
    """pandas.io.common._get_filepath_or_buffer: what a path stands for, for all that goes through its get_handle."""
    common = sys.modules["pandas.io.common"]

    @functools.wraps(original)
    def opened(filepath_or_buffer, encoding="utf-8", compression=None, mode="r", storage_options=None):
        if not is_remote(filepath_or_buffer):
            return original(filepath_or_buffer, encoding, compression, mode, storage_options)
        import moxing.file
        method, rest = common.get_compression_method(compression)
        method = common.infer_compression(str(filepath_or_buffer), method)
        binary = mode.replace("t", "").replace("b", "") + "b"
        return common.IOArgs(filepath_or_buffer=moxing.file.File(filepath_or_buffer, binary), encoding=encoding, mode=binary,
                             compression={**rest, "method": method}, should_close=True)

    return opened


def _parquet_open(original):
    """pandas.io.parquet._get_path_or_handle, which else asks fsspec and pyarrow for the store."""
    common = sys.modules["pandas.io.common"]

    @functools.wraps(original)
    def opened(path, fs, storage_options=None, mode="rb", is_dir=False):
        if fs is not None or is_dir or not is_remote(path):
            return original(path, fs, storage_options, mode, is_dir)
        handles = common.get_handle(path, mode, is_text=False)
        return handles.handle, handles, None

    return opened


def _not_of_a_store(original):
    """pandas.io.orc.is_fsspec_url: what get_handle has opened is not asked for once more."""
    return functools.wraps(original)(lambda url: not is_remote(url) and original(url))


def _hdf_open(original):
    """HDFStore.open: HDF5 knows files on disks only. A copy here, which close() brings back."""

    @functools.wraps(original)
    def opened(self, mode="a", **kwargs):
        if not is_remote(self._path):
            original(self, mode, **kwargs)
            return
        import moxing.file
        url = self._path
        folder = tempfile.mkdtemp(prefix="mox_hdf")
        try:
            self._path = folder + "/copy.h5"
            if mode == "r" or mode != "w" and moxing.file.exists(url):
                moxing.file.copy(url, self._path)
            original(self, mode, **kwargs)
            self.close = functools.partial(_hdf_close, self, url, folder, mode)
        except BaseException:
            self._path = url
            moxing.file.remove(folder, recursive=True)
            raise

    return opened


def _hdf_close(store, url, folder, mode):
    import moxing.file
    del store.close
    store.close()
    copy, store._path = store._path, url
    try:
        if mode != "r":
            moxing.file.copy(copy, url)
    finally:
        moxing.file.remove(folder, recursive=True)


def _zip_extract(original):
    """ZipFile._extract_member, which makes a folder `s3:` on this disk of a path of the store."""

    @functools.wraps(original)
    def extract(self, member, targetpath, pwd):
        if not is_remote(targetpath):
            return original(self, member, targetpath, pwd)
        import moxing.file
        member = self.getinfo(getattr(member, "filename", member))
        parts = [part for part in member.filename.split("/") if part not in ("", ".", "..")]
        target = "/".join([str(targetpath).rstrip("/"), *parts])
        if member.is_dir():
            moxing.file.make_dirs(target)
            return target
        with self.open(member, pwd=pwd) as source, moxing.file.File(target, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        return target

    return extract


# module -> (the name in it, what stands in its place)
_TABLE = {
    "numpy.lib._datasource": [("open", _numpy_open)],
    "zipfile": [("ZipFile._extract_member", _zip_extract)],
    "pandas.io.common": [("_get_filepath_or_buffer", _pandas_open)],
    "pandas.io.parquet": [("_get_path_or_handle", _parquet_open)],
    "pandas.io.orc": [("is_fsspec_url", _not_of_a_store)],
    "pandas.io.pytables": [("HDFStore.open", _hdf_open)],
}
_originals = {}  # (module, name) -> what was there


def _owner(module, name):
    """Where the name lies, and its last part."""
    *path, last = name.split(".")
    return functools.reduce(lambda owner, part: getattr(owner, part, None), path, sys.modules[module]), last


def _take(module):
    for name, wrap in _TABLE[module]:
        owner, last = _owner(module, name)
        original = getattr(owner, last, None)
        if original is not None and (module, name) not in _originals:
            _originals[module, name] = original
            setattr(owner, last, wrap(original))


class _Watch:
    """On sys.meta_path: libraries that are imported while shifted."""

    def __init__(self):
        self._asking = False

    def find_spec(self, name, path=None, target=None):
        if name not in _TABLE or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                if watch in sys.meta_path:
                    _take(name)

            spec.loader.exec_module = exec_module
        return spec


watch = _Watch()


def shift_on():
    if watch not in sys.meta_path:
        sys.meta_path.insert(0, watch)
    for name in _TABLE:
        if name in sys.modules:
            _take(name)


def shift_off():
    if watch in sys.meta_path:
        sys.meta_path.remove(watch)
    for (module, name), original in _originals.items():
        owner, last = _owner(module, name)
        setattr(owner, last, original)
    _originals.clear()
