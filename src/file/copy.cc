// copy, copy_parallel, sync, rename, append_remote, copy_once_per_host.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <unordered_map>
#include <unordered_set>

#include "base/limits.h"
#include "file/config.h"
#include "file/copy_job.h"
#include "file/file_system.h"
#include "file/local_file_system.h"
#include "file/s3_client.h"
#include "file/s3_file_system.h"
#include "file/s3_transfer.h"
#include "file/sigv4.h"
#include "file/state_folder.h"
#include "file/sync_rule.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr int kThreadsOfOneFile = 16;

// One copy of a folder.
class FolderCopy {
 public:
  FolderCopy(const Location& src, const Location& dst, const CopyOptions& options, const char* title)
      : src_(src),
        dst_(dst),
        options_(options),
        job_(options.threads, &counters_),
        progress_(counters_, fmt::format("{} {} -> {}", title, src.str(), dst.str()), /*quiet=*/false) {}

  CopySummary run() {
    if (options_.only_different) {
      load_destination();
    } else {
      note_ = StateNote::take("copy", src_.str() + "\n" + dst_.str() + "\n" + current_config()->endpoint());
      load_note();
    }
    if (dst_.is_local()) file_system(dst_).make_folder(dst_, /*parents=*/true);
    if (options_.file_list.empty()) {
      add_folder("");
    } else {
      for (const std::string& name : options_.file_list) add_listed(name);
    }
    progress_.total_is_final();
    job_.finish();
    if (options_.delete_extra && job_.failures().empty()) delete_extra();
    progress_.stop();
    return summarize();
  }

 private:
  void add_listed(const std::string& name) {
    if (!is_safe_relative(name))
      throw InvalidArgumentError("file_list entry '" + name + "': give a path relative to the source, without '..'");
    const Location below = src_.child(name);
    const auto st = file_system(below).stat(below);
    if (!st) {
      try {
        throw MoxFileNotExistsException("copy '" + below.str() + "': this entry of file_list does not exist");
      } catch (...) {
        job_.fail(below.str(), std::current_exception());
      }
    } else if (st->is_directory) {
      add_folder(name.back() == '/' ? name : name + "/");
    } else {
      add_file(name, *st);
    }
  }

  // All below src/prefix. A folder with nothing in it is made, too.
  void add_folder(const std::string& prefix) {
    std::string last_folder;
    const auto settle_folder = [&](const std::string& next) {
      const bool entered = next.size() > last_folder.size() && next.compare(0, last_folder.size(), last_folder) == 0;
      if (!last_folder.empty() && !entered) make_folder(last_folder);
      last_folder.clear();
    };
    const Location folder = prefix.empty() ? src_ : src_.child(prefix);
    const bool found = file_system(folder).list(folder, /*recursive=*/true, [&](DirEntry& entry) {
      const std::string name = prefix + entry.name;
      settle_folder(name);
      if (entry.is_dir()) {
        last_folder = name + "/";
      } else {
        add_file(name, entry.stat);
      }
      return !job_.given_up();
    });
    if (!found) throw MoxFileNotExistsException("copy '" + folder.str() + "': no such folder");
    settle_folder("");
  }

  void make_folder(const std::string& name) {
    if (dst_.is_local() && !is_safe_relative(name)) return;  // the files in it are told one by one
    try {
      if (dst_.is_local()) {
        file_system(dst_).make_folder(dst_.child(name), /*parents=*/true);
      } else {
        s3::put("copy", dst_.child(name), body_of(""));
      }
    } catch (...) {
      job_.fail(src_.child(name).str(), std::current_exception());
    }
  }

  // A key such as "../../etc/passwd" must not leave the destination.
  bool check_name(const std::string& name) {
    if (!dst_.is_local() || is_safe_relative(name)) return true;
    try {
      throw OsError(EINVAL, "copy '" + src_.folder_prefix() + name +
                                "': the name leads outside of the destination folder '" + dst_.str() +
                                "' or is no name on a local disk; nothing was written for it, copy it by itself");
    } catch (...) {
      job_.fail(src_.child(name).str(), std::current_exception());
    }
    return false;
  }

  void add_file(const std::string& name, const Stat& st) {
    if (!check_name(name)) return;
    const Location src = src_.child(name), dst = dst_.child(name);
    if (src.is_local() && !S_ISREG(st.mode) && !S_ISLNK(st.mode)) {
      try {
        throw OsError(EINVAL, "copy '" + src.str() + "': this is a pipe, socket or device, not a file");
      } catch (...) {
        job_.fail(src.str(), std::current_exception());
      }
      return;
    }
    progress_.add_total(1, st.length);
    if (is_there(name, src, st, dst)) {
      ++counters_.skipped;
      return;
    }
    CopyItem item{src, dst, st};
    if (note_) item.on_done = [this, line = note_line(name, st)] { note_->append(line); };
    job_.add(std::move(item));
  }

  bool is_there(const std::string& name, const Location& src, const Stat& st, const Location& dst) {
    if (options_.only_different) {
      const auto found = destination_.find(name);
      if (found == destination_.end()) return false;
      const Stat there = found->second;
      destination_.erase(found);
      return !differs(src, st, dst, there);
    }
    if (finished_.empty() || finished_.count(note_line(name, st)) == 0) return false;
    const auto there = file_system(dst).stat(dst);
    return there && !there->is_directory && there->length == st.length;
  }

  static std::string note_line(const std::string& name, const Stat& st) {
    return percent_encode(name, true) + " " + std::to_string(st.length) + " " + std::to_string(st.mtime_nsec) + " " +
           st.etag + "\n";
  }

  void load_note() {
    if (!note_) return;
    const std::string& text = note_->content();
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      if (end == std::string::npos) break;  // the line that the kill cut off
      finished_.insert(text.substr(at, end + 1 - at));
      at = end + 1;
    }
  }

  void load_destination() {
    file_system(dst_).list(dst_, /*recursive=*/true, [&](DirEntry& entry) {
      if (entry.is_file()) destination_[entry.name] = entry.stat;
      return true;
    });
  }

  // is_there took out what the source has: what is left, the source lacks.
  void delete_extra() {
    for (const auto& [name, st] : destination_) {
      const Location extra = dst_.child(name);
      try {
        file_system(extra).remove_file(extra);
        ++deleted_;
      } catch (...) {
        job_.fail(extra.str(), std::current_exception());
      }
    }
  }

  CopySummary summarize() {
    CopySummary summary;
    summary.files = counters_.files;
    summary.bytes = counters_.bytes;
    summary.skipped = counters_.skipped;
    summary.deleted = deleted_;
    summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    summary.failed = job_.failures();
    if (summary.failed.empty() && note_) note_->remove();
    return summary;
  }

 public:
  std::exception_ptr fatal_error() const { return job_.fatal_error(); }
  std::exception_ptr first_error() const { return job_.first_error(); }

 private:
  Location src_, dst_;
  CopyOptions options_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  CopyCounters counters_;
  std::unique_ptr<StateNote> note_;  // which files an earlier run of this copy finished
  std::unordered_set<std::string> finished_;
  std::unordered_map<std::string, Stat> destination_;  // sync: what is there
  int64_t deleted_ = 0;
  CopyJob job_;  // after what its threads use
  Progress progress_;
};

void log_summary(const char* title, const CopySummary& s) {
  if (silent_mode()) return;
  std::string text = fmt::format("{}: {} files, {} in {:.1f} s", title, s.files, human_bytes(s.bytes), s.seconds);
  if (s.skipped > 0) text += fmt::format(", {} already there", s.skipped);
  if (s.deleted > 0) text += fmt::format(", {} removed", s.deleted);
  text += fmt::format(", {} failed", s.failed.size());
  log_info(text);
}

[[noreturn]] void throw_failures(const char* title, const CopySummary& summary, const FolderCopy& copy) {
  if (copy.fatal_error()) std::rethrow_exception(copy.fatal_error());
  try {
    std::rethrow_exception(copy.first_error());
  } catch (const MoxFileNameDuplicateException&) {
    throw;
  } catch (...) {
  }
  std::string text = fmt::format("{}: {} of {} files failed:", title, summary.failed.size(),
                                 summary.failed.size() + static_cast<size_t>(summary.files + summary.skipped));
  for (size_t i = 0; i < summary.failed.size() && i < 5; ++i) text += "\n  " + summary.failed[i].message;
  if (summary.failed.size() > 5) text += fmt::format("\n  and {} more", summary.failed.size() - 5);
  throw CopyError(text + "\nrun the same copy again: what is finished is not sent again", summary);
}

CopySummary copy_one(const Location& src, const Stat& st, const Location& dst, const CopyOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  CopyCounters counters;
  CopySummary summary;
  const bool same = options.only_different && [&] {
    const auto there = file_system(dst).stat(dst);
    return there && !there->is_directory && !differs(src, st, dst, *there);
  }();
  if (same) {
    summary.skipped = 1;
  } else {
    Progress progress(counters, "copy " + src.str(), /*quiet=*/st.length < (64 << 20));
    progress.add_total(1, st.length);
    progress.total_is_final();
    const bool one_part = st.length <= 2 * part_size_for(st.length);
    CopyJob job(one_part ? 0 : options.threads, &counters);  // a small file needs no threads
    job.add({src, dst, st});
    job.finish();
    if (job.first_error()) std::rethrow_exception(job.first_error());
    summary.files = 1;
    summary.bytes = counters.bytes;
  }
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return summary;
}

// "dst/" and an existing local folder mean: into it.
Location file_target(const Location& src, const Location& dst) {
  if (dst.names_folder() || dst.is_bucket()) return dst.child(base_name(src));
  if (dst.is_local()) {
    const auto there = file_system(dst).stat(dst);
    if (there && there->is_directory) return dst.child(base_name(src));
  }
  return dst;
}

void check_not_inside(const Location& src, const Location& dst) {
  const std::string from = src.folder_prefix(), to = dst.folder_prefix();
  if (src.is_local() != dst.is_local() || src.bucket != dst.bucket || to.compare(0, from.size(), from) != 0) return;
  throw InvalidArgumentError("copy '" + src.str() + "' to '" + dst.str() +
                             "': the destination is the source or lies inside of it");
}

CopySummary copy_tree(const std::string& src_url, const std::string& dst_url, const CopyOptions& options,
                      const char* title) {
  const Location src = parse_path(src_url);
  const Location dst = parse_path(dst_url);
  check_integer("threads", options.threads, 0, kMaxThreads);
  const Stat st = need_stat(title, src);
  if (!st.is_directory) {
    const CopySummary summary = copy_one(src, st, file_target(src, dst), options);
    log_summary(title, summary);
    return summary;
  }
  check_not_inside(src, dst);
  FolderCopy copy(src, dst, options, title);
  const CopySummary summary = copy.run();
  log_summary(title, summary);
  if (!summary.failed.empty()) throw_failures(title, summary, copy);
  return summary;
}

}  // namespace

void copy(const std::string& src_url, const std::string& dst_url) {
  const Location src = parse_path(src_url);
  const Stat st = need_stat("copy", src);
  if (st.is_directory) throw OsError(EISDIR, "copy '" + src_url + "': this is a folder; copy_parallel copies folders");
  CopyOptions options;
  options.threads = kThreadsOfOneFile;
  copy_one(src, st, file_target(src, parse_path(dst_url)), options);
}

CopySummary copy_parallel(const std::string& src_url, const std::string& dst_url, const CopyOptions& options) {
  return copy_tree(src_url, dst_url, options, "copy");
}

CopySummary sync(const std::string& src_url, const std::string& dst_url, CopyOptions options) {
  options.only_different = true;
  return copy_tree(src_url, dst_url, options, "sync");
}

void append_remote(const std::string& src_url, const std::string& dst_url) {
  const Location src = parse_path(src_url), dst = parse_path(dst_url);
  if (!src.is_local() && !dst.is_local()) {
    append_object(src, dst);
    return;
  }
  constexpr int64_t kBlock = 1 << 20;
  const auto in = file_system(src).open(src, parse_mode("rb"));
  const auto out = file_system(dst).open(dst, parse_mode("ab"));
  std::string buffer(kBlock, '\0');
  while (const int64_t got = in->read(buffer.data(), kBlock)) out->write(buffer.data(), got);
  out->close();
}

void rename(const std::string& src_url, const std::string& dst_url) {
  const Location src = parse_path(src_url), dst = parse_path(dst_url);
  const Stat st = need_stat("rename", src);
  if (src.is_local() && dst.is_local()) {
    if (::rename(src.path.c_str(), dst.path.c_str()) == 0) return;
    if (errno != EXDEV) throw_errno("rename", src.path + "' to '" + dst.path, errno);
  }
  if (src.as_file().str() == dst.as_file().str()) return;
  if (!st.is_directory) {
    copy(src_url, dst.as_file().str());
    file_system(src).remove_file(src);
    return;
  }
  check_not_inside(src, dst);
  FolderCopy copy(src, dst, {}, "rename");
  const CopySummary summary = copy.run();
  if (!summary.failed.empty()) throw_failures("rename", summary, copy);
  file_system(src).remove_folder(src);
}

CopySummary copy_once_per_host(const std::string& src_url, const std::string& dst_dir, const CopyOptions& options) {
  const Location dst = parse_path(dst_dir).as_file();
  if (!dst.is_local())
    throw InvalidArgumentError("copy_once_per_host to '" + dst_dir + "': the destination is a local folder");
  file_system(dst).make_folder(parent_of(dst), /*parents=*/true);
  const std::string lock_path = dst.path + ".moxlock";
  Descriptor lock("lock", lock_path, O_RDWR | O_CREAT);
  while (::flock(lock.get(), LOCK_EX) != 0)
    if (errno != EINTR) throw_errno("lock", lock_path, errno);
  return sync(src_url, dst_dir, options);  // those that waited find all of it there
}

}  // namespace mox::file
