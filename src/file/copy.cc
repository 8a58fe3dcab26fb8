// copy, copy_parallel, sync, append_remote. Folders are in folder_copy.cc, moves in move.cc.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/limits.h"
#include "base/printable.h"
#include "file/config.h"
#include "file/copy_one.h"
#include "file/file_system.h"
#include "file/folder_copy.h"
#include "file/local_source.h"
#include "file/path_guard.h"
#include "file/s3_file_system.h"
#include "file/s3_transfer.h"
#include "file/sync_rule.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr int kThreadsOfOneFile = 16;

void log_summary(const char* title, const CopySummary& s) {
  if (silent_mode()) return;
  std::string text = fmt::format("{}: {} files, {} in {:.1f} s", title, s.files, human_bytes(s.bytes), s.seconds);
  if (s.skipped > 0) text += fmt::format(", {} already there", s.skipped);
  if (s.deleted > 0) text += fmt::format(", {} removed", s.deleted);
  text += fmt::format(", {} failed", s.failed.size());
  log_info(text);
}

void check_options(const char* title, const CopyOptions& options) {
  check_integer("threads", options.threads, 0, kMaxThreads);
  if (options.delete_extra && !options.file_list.empty())
    throw InvalidArgumentError(std::string(title) +
                               ": file_list together with delete_extra would remove all that is not in the list; give "
                               "one of them");
}

CopySummary copy_tree(const std::string& src_url, const std::string& dst_url, const CopyOptions& options,
                      const char* title) {
  const Location src = parse_path(src_url);
  const Location dst = parse_path(dst_url);
  check_options(title, options);
  if (options.delete_extra) refuse_protected(title, dst, options.bucket, /*through_link=*/true);
  const Stat st = need_stat(title, src);
  if (!st.is_directory) {
    const CopySummary summary = copy_one(src, st, file_target(src, dst), options);
    log_summary(title, summary);
    return summary;
  }
  check_not_inside(title, src, dst);
  if (options.delete_extra && lies_inside(src, dst))
    throw InvalidArgumentError(std::string(title) + " '" + src.str() + "' to '" + dst.str() +
                               "': refused, nothing was touched: the source lies inside of the destination, and what "
                               "the source lacks would be removed there");
  FolderCopy copy(src, dst, options, title);
  const CopySummary summary = copy.run();
  log_summary(title, summary);
  if (!summary.failed.empty()) copy.throw_failures(summary);
  return summary;
}

// What is small is checked before any of it is written.
void append_local(const LocalSource& source, const Location& dst) {
  constexpr int64_t kBlock = 1 << 20;
  const auto out = file_system(dst).open(dst, parse_mode("ab"));
  std::string buffer(kBlock, '\0');
  for (int64_t total = 0;;) {
    const ssize_t got = ::read(source.file.get(), buffer.data(), static_cast<size_t>(kBlock));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("append_remote", source.path, errno);
    total += got;
    // Somebody writes to it as fast as this reads: it would never end.
    if (got < kBlock || (source.size > 0 && total >= source.size)) source.check_unchanged();
    if (got == 0) break;
    out->write(buffer.data(), got);
  }
  out->close();
}

}  // namespace

CopySummary copy_one(const Location& src, const Stat& st, const Location& dst, const CopyOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  CopyCounters counters;
  CopySummary summary;
  const bool same = (!src.is_local() && is_same_place(src, dst)) || (options.only_different && [&] {
                      const auto there = file_system(dst).stat(dst);
                      if (!there || there->is_directory) return false;
                      const Listed listed = compare_listed(src, st, dst, *there);
                      return listed == Listed::kSame || (listed == Listed::kUnknown && !differs(src, st, dst, *there));
                    }());
  if (same) {
    summary.skipped = 1;
  } else {
    Progress progress(counters, "copy " + printable_name(src.str()), /*quiet=*/st.length < (64 << 20));
    progress.add_total(1, st.length);
    progress.total_is_final();
    const bool one_part = st.length <= 2 * part_size_for(st.length);
    CopyJob job(one_part ? 0 : options.threads, &counters);  // a small file needs no threads
    CopyItem item{src, dst, st};
    item.keep_time = options.only_different;
    job.add(std::move(item));
    job.finish();
    if (job.first_error()) std::rethrow_exception(job.first_error());
    summary.files = 1;
    summary.bytes = counters.bytes;
  }
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return summary;
}

Location file_target(const Location& src, const Location& dst) {
  if (dst.names_folder() || dst.is_bucket()) return dst.child(base_name(src));
  if (!is_store(dst)) {  // a store can have a file beside a folder of one name
    const auto there = file_system(dst).stat(dst);
    if (there && there->is_directory) return dst.child(base_name(src));
  }
  return dst;
}

void check_not_inside(const char* title, const Location& src, const Location& dst) {
  if (!lies_inside(dst, src)) return;
  throw InvalidArgumentError(std::string(title) + " '" + src.str() + "' to '" + dst.str() +
                             "': the destination is the source or lies inside of it");
}

void copy(const std::string& src_url, const std::string& dst_url) {
  const Location src = parse_path(src_url);
  const Stat st = need_stat("copy", src);
  if (st.is_directory) throw OsError(EISDIR, "copy '" + src_url + "': this is a folder; copy_parallel copies folders");
  CopyOptions options;
  options.threads = kThreadsOfOneFile;
  copy_one(src, st, file_target(src, parse_path(dst_url)), options);
}

CopySummary copy_parallel(const std::string& src_url, const std::string& dst_url, const CopyOptions& options) {
  return copy_tree(src_url, dst_url, options, options.only_different ? "sync" : "copy");
}

CopySummary sync(const std::string& src_url, const std::string& dst_url, CopyOptions options) {
  options.only_different = true;
  return copy_tree(src_url, dst_url, options, "sync");
}

void append_remote(const std::string& src_url, const std::string& dst_url) {
  const Location src = parse_path(src_url), dst = parse_path(dst_url);
  if (is_same_place(src, dst))
    throw InvalidArgumentError("append_remote '" + src_url + "' to '" + dst_url +
                               "': refused, nothing was touched: both are the same file");
  if (src.is_local()) {
    append_local(LocalSource(src.path), dst);
  } else if (!is_store(src) || !is_store(dst)) {
    constexpr int64_t kBlock = 1 << 20;
    const auto in = file_system(src).open(src, parse_mode("rb"));
    const auto out = file_system(dst).open(dst, parse_mode("ab"));
    std::string buffer(kBlock, '\0');
    while (const int64_t got = in->read(buffer.data(), kBlock)) out->write(buffer.data(), got);
    out->close();
  } else {
    append_object(src, dst);
  }
}

}  // namespace mox::file
