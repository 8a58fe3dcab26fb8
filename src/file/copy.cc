#include "file/copy_local.h"
#include "file/file_system.h"
#include "file/local_file_system.h"
#include "moxing/file.h"

#include <cerrno>
#include <cstdio>

namespace mox::file {

void copy(const std::string& src_url, const std::string& dst_url) {
  const Location src = parse_path(src_url);
  Location dst = parse_path(dst_url);
  const Stat st = need_stat("copy", src);
  if (st.is_directory)
    throw OsError(EISDIR, "copy '" + src_url + "': this is a folder; copy_parallel copies folders");
  if (dst.names_folder()) dst = dst.child(base_name(src));
  copy_local_file(src.path, dst.path);
}

void rename(const std::string& src_url, const std::string& dst_url) {
  const Location src = parse_path(src_url);
  const Location dst = parse_path(dst_url);
  need_stat("rename", src);
  if (::rename(src.path.c_str(), dst.path.c_str()) != 0) throw_errno("rename", src.path, errno);
}

}  // namespace mox::file
