// The suite that every storage passes (moxing/testing/file_system_conformance.h), for the local disk and real servers.
#include <unistd.h>

#include <filesystem>

#include "file/servers.h"
#include "moxing/testing/file_system_conformance.h"

namespace mox::testing {
namespace {

Storage local_disk() {
  Storage storage{"local", [] {
                    std::string pattern = ::testing::TempDir() + "mox_conf_XXXXXX";
                    return std::string(::mkdtemp(pattern.data()));
                  }};
  storage.remove_root = [](const std::string& root) { std::filesystem::remove_all(root); };
  storage.file_beside_folder = FileBesideFolder::kRefused;
  storage.is_local = true;
  return storage;
}

Storage store(const std::string& name, const std::string& server, bool tls, FileBesideFolder file_beside_folder) {
  Storage storage{name, [server, tls] {
                    static int counter = 0;
                    test::use_server(test::server(server, tls), tls);
                    const std::string root = "s3://conformance-" + std::to_string(counter++);
                    file::make_dirs(root);
                    return root;
                  }};
  storage.file_beside_folder = file_beside_folder;
  storage.status_of_missing = 404;
  storage.begin_small_pages = [] { file::set_auth({.list_max_keys = 3}); };
  storage.end_small_pages = [] { file::set_auth({.list_max_keys = 1000}); };
  return storage;
}

INSTANTIATE_TEST_SUITE_P(All, FileSystemConformance,
                         ::testing::Values(local_disk(),
                                           store("versitygw", "versitygw", false, FileBesideFolder::kRefused),
                                           store("versitygw_tls", "versitygw", true, FileBesideFolder::kRefused),
                                           store("minio", "minio", false, FileBesideFolder::kHidesFolder),
                                           store("fake_store", "fake_store", false, FileBesideFolder::kBoth),
                                           store("minio_tls", "minio", true, FileBesideFolder::kHidesFolder)),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mox::testing
