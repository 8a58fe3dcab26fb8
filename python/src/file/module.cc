// moxing._file: the C++ file functions for python/moxing/file. Paths come in as bytes (os.fsencode) and go out as str
// (os.fsdecode). The GIL is released while a call waits for a disk or a network.
#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include "base/limits.h"
#include "base/printable.h"
#include "buffer_of_310.h"
#include "file/config.h"
#include "moxing/file.h"
#include "moxing/file_stream.h"
#include "moxing/file_system.h"
#include "moxing/plugin.h"
#include "moxing/version.h"
#include "string_caster.h"

namespace nb = nanobind;
namespace file = mox::file;

namespace {

std::string path_of(const nb::bytes& path) { return {path.c_str(), path.size()}; }

nb::object to_str(const std::string& path) {
  return nb::steal(PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

// The memory of any object that has a buffer; a text is refused with Python's own message.
class Buffer {
 public:
  Buffer(nb::handle object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  char* data() const { return static_cast<char*>(view_.buf); }
  int64_t size() const { return view_.len; }
  std::string_view view() const { return {data(), static_cast<size_t>(size())}; }

 private:
  Py_buffer view_;
};

template <typename Work>
auto without_gil(Work&& work) {
  nb::gil_scoped_release release;
  return work();
}

nb::tuple stat_tuple(const file::Stat& st) {
  return nb::make_tuple(st.length, st.mtime_nsec, st.is_directory, st.mode, st.etag);
}

nb::dict response_dict(const file::Response& r) {
  nb::dict d;
  d["status"] = r.status;
  d["code"] = r.code;
  d["message"] = r.message;
  d["request_id"] = r.request_id;
  d["host"] = r.host;
  d["resource"] = r.resource;
  return d;
}

nb::dict summary_dict(const file::CopySummary& s) {
  nb::dict d;
  d["files"] = s.files;
  d["bytes"] = s.bytes;
  d["skipped"] = s.skipped;
  d["deleted"] = s.deleted;
  d["seconds"] = s.seconds;
  nb::list failed;
  for (const auto& failure : s.failed) failed.append(nb::make_tuple(to_str(failure.path), to_str(failure.message)));
  d["failed"] = failed;
  return d;
}

// python/moxing/file/errors.py makes the exception from its kind and details.
void raise(const char* kind, const char* text, const nb::object& detail) {
  const nb::object make = nb::module_::import_("moxing.file.errors").attr("make");
  const nb::object error = make(kind, to_str(text), detail);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const file::MoxFileNotExistsException& e) {
    raise("not_exists", e.what(), response_dict(e.resp()));
  } catch (const file::MoxFileNameDuplicateException& e) {
    raise("duplicate", e.what(), nb::none());
  } catch (const file::MoxFileReadException& e) {
    raise("read", e.what(), response_dict(e.resp()));
  } catch (const file::MoxFileRespException& e) {
    raise("resp", e.what(), response_dict(e.resp()));
  } catch (const file::OsError& e) {
    raise("os", e.what(), nb::int_(e.code()));
  } catch (const file::CopyError& e) {
    raise("copy", e.what(), summary_dict(e.summary()));
  } catch (const mox::InvalidArgumentError& e) {
    raise("argument", e.what(), nb::none());
  } catch (const mox::DataError& e) {
    raise("data", e.what(), nb::none());
  } catch (const mox::Error& e) {
    raise("error", e.what(), nb::none());
  } catch (const std::logic_error& e) {
    raise("error", ("a mistake inside MoXing, please report it: " + mox::printable(e.what())).c_str(), nb::none());
  }
}

nb::object read_object(const nb::bytes& url) {
  nb::object result;
  const std::string path = path_of(url);
  without_gil([&] {
    file::read_to(path, [&](int64_t size) {
      nb::gil_scoped_acquire acquire;
      result = nb::steal(PyBytes_FromStringAndSize(nullptr, size));
      if (!result.is_valid()) throw nb::python_error();
      return PyBytes_AsString(result.ptr());
    });
  });
  return result;
}

nb::list list_names(const nb::bytes& url, bool recursive, bool remove_sep, bool skip_file, bool skip_dir) {
  const std::string path = path_of(url);
  const auto names = without_gil([&] {
    return file::list_directory(
        path, {.recursive = recursive, .remove_sep = remove_sep, .skip_file = skip_file, .skip_dir = skip_dir});
  });
  nb::list result;
  for (const std::string& name : names) result.append(to_str(name));
  return result;
}

// (name, path, stat) of each entry.
nb::list scan(const nb::bytes& url) {
  const std::string path = path_of(url);
  const auto entries = without_gil([&] { return file::scan_dir(path); });
  nb::list result;
  for (const auto& entry : entries)
    result.append(nb::make_tuple(to_str(entry.name), to_str(entry.path), stat_tuple(entry.stat)));
  return result;
}

file::CopyOptions copy_options(const std::vector<nb::bytes>& file_list, int threads, bool delete_extra, bool bucket) {
  file::CopyOptions options;
  for (const nb::bytes& name : file_list) options.file_list.push_back(path_of(name));
  options.threads = threads;
  options.delete_extra = delete_extra;
  options.bucket = bucket;
  return options;
}

using CopyFunction = file::CopySummary (*)(const std::string&, const std::string&, const file::CopyOptions&);

template <CopyFunction copy>
nb::dict copy_tree(const nb::bytes& src, const nb::bytes& dst, const std::vector<nb::bytes>& file_list, int threads,
                   bool delete_extra, bool bucket) {
  const file::CopyOptions options = copy_options(file_list, threads, delete_extra, bucket);
  const std::string from = path_of(src), to = path_of(dst);
  return summary_dict(without_gil([&] { return copy(from, to, options); }));
}

file::CopySummary sync_tree(const std::string& src, const std::string& dst, const file::CopyOptions& options) {
  return file::sync(src, dst, options);
}

void set_auth(const nb::kwargs& given) {
  file::AuthOptions o;
  const auto take = [&](const char* name, auto* into) {
    using Value = typename std::remove_reference_t<decltype(*into)>::value_type;
    if (given.contains(name) && !given[name].is_none()) *into = nb::cast<Value>(given[name]);
  };
  take("ak", &o.ak);
  take("sk", &o.sk);
  take("server", &o.server);
  take("port", &o.port);
  take("is_secure", &o.is_secure);
  take("ssl_verify", &o.ssl_verify);
  take("long_conn_mode", &o.long_conn_mode);
  take("path_style", &o.path_style);
  take("retry", &o.retry);
  take("retry_wait", &o.retry_wait);
  take("client_timeout", &o.client_timeout);
  take("list_max_keys", &o.list_max_keys);
  take("token", &o.token);
  take("region", &o.region);
  file::set_auth(o);
}

template <typename Function>
auto on_path(Function function) {
  return [function](const nb::bytes& url) {
    const std::string path = path_of(url);
    return without_gil([&] { return function(path); });
  };
}

template <typename Function>
auto on_two_paths(Function function) {
  return [function](const nb::bytes& a, const nb::bytes& b) {
    const std::string src = path_of(a), dst = path_of(b);
    without_gil([&] { function(src, dst); });
  };
}

void bind_stream(nb::module_& m) {
  nb::class_<file::File>(m, "Stream")
      .def("__init__",
           [](file::File* self, const nb::bytes& name, const std::string& mode) {
             const std::string path = path_of(name);
             without_gil([&] { new (self) file::File(path, mode); });
           })
      .def("readinto",
           [](file::File& self, nb::handle target) {
             const Buffer buffer(target, PyBUF_WRITABLE | PyBUF_SIMPLE);
             return without_gil([&] { return self.read_some(buffer.data(), buffer.size()); });
           })
      .def("write",
           [](file::File& self, nb::handle source) {
             const Buffer buffer(source, PyBUF_SIMPLE);
             without_gil([&] { self.write(buffer.view()); });
             return buffer.size();
           })
      .def("seek", [](file::File& self, int64_t offset,
                      int whence) { return without_gil([&] { return self.seek(offset, whence); }); })
      .def("tell", &file::File::tell)
      .def("size", &file::File::size)
      .def("truncate", [](file::File& self, int64_t size) { without_gil([&] { self.truncate(size); }); })
      .def("flush", [](file::File& self) { without_gil([&] { self.flush(); }); })
      .def("close", [](file::File& self) { without_gil([&] { self.close(); }); })
      .def("discard", [](file::File& self) { without_gil([&] { self.discard(); }); })
      .def("readable", &file::File::readable)
      .def("writable", &file::File::writable)
      .def("seekable", &file::File::seekable);
}

}  // namespace

NB_MODULE(_file, m) {
  nb::register_exception_translator(translate);
  bind_stream(m);
  m.def("version", mox::version);
  m.def("tensorflow_version", mox::tensorflow_version);
  m.def("read", read_object);
  m.def("write", [](const nb::bytes& url, nb::handle data) {
    const std::string path = path_of(url);
    const Buffer buffer(data, PyBUF_SIMPLE);
    without_gil([&] { file::write(path, buffer.view()); });
  });
  m.def("append", [](const nb::bytes& url, nb::handle data) {
    const std::string path = path_of(url);
    const Buffer buffer(data, PyBUF_SIMPLE);
    without_gil([&] { file::append(path, buffer.view()); });
  });
  m.def("append_remote", on_two_paths(file::append_remote));
  m.def("copy", on_two_paths(file::copy));
  m.def("rename", [](const nb::bytes& a, const nb::bytes& b, bool bucket) {
    const std::string src = path_of(a), dst = path_of(b);
    without_gil([&] { file::rename(src, dst, bucket); });
  });
  m.def("exists", on_path(file::exists));
  m.def("is_directory", on_path(file::is_directory));
  m.def("mk_dir", on_path(file::mk_dir));
  m.def("make_dirs", on_path(file::make_dirs));
  m.def("remove", [](const nb::bytes& url, bool recursive, bool bucket) {
    const std::string path = path_of(url);
    without_gil([&] { file::remove(path, recursive, bucket); });
  });
  m.def("get_size", [](const nb::bytes& url, bool recursive) {
    const std::string path = path_of(url);
    return without_gil([&] { return file::get_size(path, recursive); });
  });
  m.def("stat", [](const nb::bytes& url) {
    const std::string path = path_of(url);
    return stat_tuple(without_gil([&] { return file::stat(path); }));
  });
  m.def("list_directory", list_names);
  m.def("scan_dir", scan);
  m.def("glob", [](const nb::bytes& url) {
    const std::string path = path_of(url);
    nb::list result;
    for (const std::string& found : without_gil([&] { return file::glob(path); })) result.append(to_str(found));
    return result;
  });
  m.def("copy_parallel", copy_tree<file::copy_parallel>);
  m.def("sync", copy_tree<sync_tree>);
  m.def("copy_once_per_host", copy_tree<file::copy_once_per_host>);
  m.def("is_remote", [](const nb::bytes& url) { return file::is_remote(path_of(url)); });
  m.def("load_plugin", [](const nb::bytes& path) { without_gil([&] { mox::load_plugin(path_of(path)); }); });
  m.def("set_auth", set_auth);
  nb::dict limits;  // of set_auth's numbers: name -> (least, largest)
  for (const file::NumberLimit& limit : file::auth_limits())
    limits[nb::str(limit.name.data(), limit.name.size())] =
        limit.whole ? nb::make_tuple(static_cast<int64_t>(limit.low), static_cast<int64_t>(limit.high))
                    : nb::make_tuple(limit.low, limit.high);
  m.attr("auth_limits") = limits;
  m.attr("MAX_THREADS") = mox::kMaxThreads;
}
