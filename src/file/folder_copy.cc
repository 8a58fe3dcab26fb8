#include "file/folder_copy.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/printable.h"
#include "base/text.h"
#include "file/config.h"
#include "file/file_system.h"
#include "file/left_temporaries.h"
#include "file/path_guard.h"
#include "file/s3_client.h"
#include "file/s3_listing.h"
#include "file/sigv4.h"
#include "file/sync_rule.h"

namespace mox::file {
namespace {

// One line for one state of a file.
std::string note_line(const std::string& name, const Stat& st) {
  return percent_encode(name, true) + " " + std::to_string(st.length) + " " + std::to_string(st.mtime_nsec) + " " +
         st.etag + "\n";
}

// Where `inner` lies in `outer`: "a/b/"; "" when it does not.
std::string place_in(const Location& inner, const Location& outer) {
  if (!lies_inside(inner, outer)) return "";
  const std::string below = inner.is_local() ? resolved_path(inner.path) + "/" : inner.folder_prefix();
  const std::string above = outer.is_local() ? resolved_path(outer.path) : outer.folder_prefix();
  const size_t start = above.size() + (outer.is_local() && above != "/" ? 1 : 0);
  return start < below.size() ? below.substr(start) : "";
}

}  // namespace

void MovedFiles::add(const std::string& name, const Stat& st) {
  MutexLock lock(mu_);
  hashes_.insert(std::hash<std::string>()(note_line(name, st)));
}

bool MovedFiles::has(const std::string& name, const Stat& st) const {
  MutexLock lock(mu_);
  return hashes_.count(std::hash<std::string>()(note_line(name, st))) > 0;
}

FolderCopy::FolderCopy(const Location& src, const Location& dst, const CopyOptions& options, const char* title,
                       MovedFiles* moved)
    : src_(src),
      dst_(dst),
      options_(options),
      title_(title),
      moved_(moved),
      source_in_destination_(place_in(src, dst)),
      job_(options.threads, &counters_),
      progress_(counters_, fmt::format("{} {} -> {}", title, printable_name(src.str()), printable_name(dst.str())),
                /*quiet=*/false) {}

CopySummary FolderCopy::run() {
  if (options_.only_different) {
    there_ = std::make_unique<DestinationIndex>(dst_);
    there_->load();
  } else {
    note_ = StateNote::take("copy", src_.str() + "\n" + dst_.str() + "\n" + current_config()->endpoint());
    load_note();
  }
  if (!is_store(dst_)) file_system(dst_).make_folder(dst_, /*parents=*/true);
  if (options_.file_list.empty()) {
    add_folder("");
  } else {
    for (const std::string& name : options_.file_list) add_listed(name);
  }
  progress_.total_is_final();
  job_.finish();
  failures_ = job_.failures();
  first_error_ = job_.first_error();
  fatal_error_ = job_.fatal_error();
  if (options_.delete_extra && failures_.empty()) delete_extra();
  progress_.stop();
  return summarize();
}

// While the job runs.
void FolderCopy::fail(const std::string& path, const std::exception_ptr& error) { job_.fail(path, error); }

void FolderCopy::add_listed(const std::string& name) {
  if (!is_safe_relative(name))
    throw InvalidArgumentError("file_list entry '" + name + "': give a path relative to the source, without '..'");
  const Location below = src_.child(name);
  const auto st = file_system(below).stat(below);
  if (!st) {
    fail(below.str(), std::make_exception_ptr(MoxFileNotExistsException("copy '" + below.str() +
                                                                        "': this entry of file_list does not exist")));
  } else if (st->is_directory) {
    add_folder(name.back() == '/' ? name : name + "/");
  } else {
    add_file(name, *st);
  }
}

// All below src/prefix.
void FolderCopy::add_folder(const std::string& prefix) {
  std::string last_folder;
  const Location folder = prefix.empty() ? src_ : src_.child(prefix);
  const auto visit = [&](DirEntry& entry) {
    add_entry(prefix + entry.name, entry, &last_folder);
    return !job_.given_up();
  };
  const bool found = is_store(folder) ? list_objects(folder, /*recursive=*/true, visit, /*markers_with_content=*/true)
                                      : file_system(folder).list(folder, /*recursive=*/true, visit);
  if (!found) throw MoxFileNotExistsException("copy '" + folder.str() + "': no such folder");
  if (!last_folder.empty()) make_folder(last_folder);
}

// A folder with nothing in it is made, too: `last_folder` is the one of which nothing was seen yet.
void FolderCopy::add_entry(const std::string& name, const DirEntry& entry, std::string* last_folder) {
  // A file of the folder's own name is its mark, with content.
  const bool entered =
      name.compare(0, last_folder->size(), *last_folder) == 0 && (entry.is_file() || name.size() > last_folder->size());
  if (!last_folder->empty() && !entered) make_folder(*last_folder);
  last_folder->clear();
  if (entry.is_dir()) {
    *last_folder = name + "/";
    if (there_) there_->take_folder(name);
  } else if (!src_.is_local() || !is_temporary_name(mox::base_name(name))) {  // else: not a file yet, or no more
    add_file(name, entry.stat);
  }
}

void FolderCopy::make_folder(const std::string& name) {
  if (!is_store(dst_) && !is_safe_relative(name)) return;  // the files in it are told one by one
  const std::string plain = name.substr(0, name.size() - 1);
  if (options_.delete_extra && there_->blocks(plain, /*is_folder=*/true)) {
    later_.push_back({name, {}, /*is_folder=*/true});
    return;
  }
  try {
    if (is_store(dst_)) {
      s3::put("copy", dst_.child(name), body_of(""));
    } else {
      file_system(dst_).make_folder(dst_.child(name), /*parents=*/true);
    }
  } catch (...) {
    fail(src_.child(name).str(), std::current_exception());
  }
}

std::string FolderCopy::why_not(const std::string& name, const Stat& st) const {
  if (src_.is_local() && !S_ISREG(st.mode) && !S_ISLNK(st.mode)) return "this is a pipe, socket or device, not a file";
  if (!source_in_destination_.empty() && name.compare(0, source_in_destination_.size(), source_in_destination_) == 0)
    return "its copy would be in the source itself, at '" + dst_.child(name).str() + "'; copy to another folder";
  if (is_store(dst_))
    return name.empty() && dst_.is_bucket()
               ? "this object's key ends with '/' and it has content: a bucket's root has no "
                 "name for it; copy to a folder in the bucket"
               : "";
  if (name.empty() || name.back() == '/')
    return "this object's key ends with '/' and it has content: only a store can hold it; copy it to one, or remove it "
           "first";
  // A key such as "../../etc/passwd" must not leave the destination.
  if (is_safe_relative(name)) return "";
  return "the name leads outside of the destination folder '" + dst_.str() +
         "' or is no name there; nothing was written for it, copy it by itself";
}

void FolderCopy::add_file(const std::string& name, const Stat& st) {
  const std::string reason = why_not(name, st);
  if (!reason.empty()) {
    const std::string path = src_.folder_prefix().empty() ? src_.child(name).str() : src_.as_file().str() + "/" + name;
    fail(path, std::make_exception_ptr(OsError(EINVAL, std::string(title_) + " '" + path + "': " + reason)));
    return;
  }
  progress_.add_total(1, st.length);
  if (options_.delete_extra && there_->blocks(name, /*is_folder=*/false))
    later_.push_back({name, st});
  else
    send(&job_, name, st);
}

void FolderCopy::send(CopyJob* job, const std::string& name, const Stat& st) {
  CopyItem item{src_.child(name), dst_.child(name), st};
  item.keep_time = options_.only_different;
  if (there_) {
    if (const auto there = there_->take_file(name)) {
      const Listed listed = compare_listed(item.src, st, item.dst, *there);
      if (listed == Listed::kSame) {
        ++counters_.skipped;
        return;
      }
      if (listed == Listed::kUnknown)
        item.is_there = [src = item.src, dst = item.dst, st, there = *there] { return !differs(src, st, dst, there); };
    }
  } else {
    const std::string line = note_line(name, st);
    const bool finished = finished_.count(line) > 0;
    if (finished) item.is_there = [this, src = item.src, dst = item.dst, st] { return is_there_by_note(src, st, dst); };
    item.on_done = [this, line, finished, name, src = item.src, dst = item.dst, st] {
      if (moved_) {
        check_moved(title_, src, st, dst);
        moved_->add(name, st);
      }
      if (note_ && !finished) note_->append(line);
    };
  }
  job->add(std::move(item));
}

// The note knows of what was finished before its last line: what somebody changed since then is looked at.
bool FolderCopy::is_there_by_note(const Location& src, const Stat& st, const Location& dst) const {
  const auto there = file_system(dst).stat(dst);
  // The one that was killed may have worked beside it on a file that the source has no more.
  if (dst.is_local()) remove_left_temporaries(parent_of(dst).folder_prefix(), "");
  if (!there || there->is_directory || there->length != st.length) return false;
  if (there->mtime_nsec == 0) return !differs(src, st, dst, *there);  // a storage without times
  int64_t changed_nsec = there->mtime_nsec;
  struct ::stat local;
  if (dst.is_local() && ::stat(dst.path.c_str(), &local) == 0)  // unlike the time of its content nobody sets it back
    changed_nsec = static_cast<int64_t>(local.st_ctim.tv_sec) * 1000000000 + local.st_ctim.tv_nsec;
  return changed_nsec <= note_->changed_nsec() || !differs(src, st, dst, *there);
}

void FolderCopy::load_note() {
  if (!note_) return;
  const std::string& text = note_->content();
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) break;  // the line that the kill cut off
    finished_.insert(text.substr(at, end + 1 - at));
    at = end + 1;
  }
}

// After all else was copied: then what is extra goes, and what it blocked comes.
void FolderCopy::delete_extra() {
  CopyJob late(options_.threads, &counters_);
  deleted_ = there_->remove_rest(
      [&](const Location& extra, const std::exception_ptr& error) { late.fail(extra.str(), error); });
  for (const Later& item : later_) {
    if (item.is_folder)
      make_folder(item.name);
    else
      send(&late, item.name, item.st);
  }
  late.finish();
  failures_ = late.failures();
  const std::vector<CopyFailure> of_folders = job_.failures();
  failures_.insert(failures_.end(), of_folders.begin(), of_folders.end());
  first_error_ = late.first_error() ? late.first_error() : job_.first_error();
  fatal_error_ = late.fatal_error();
}

CopySummary FolderCopy::summarize() {
  CopySummary summary;
  summary.files = counters_.files;
  summary.bytes = counters_.bytes;
  summary.skipped = counters_.skipped;
  summary.deleted = deleted_;
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  summary.failed = failures_;
  if (summary.failed.empty() && note_) note_->remove();
  return summary;
}

void FolderCopy::throw_failures(const CopySummary& summary) const {
  if (fatal_error_) std::rethrow_exception(fatal_error_);
  try {
    std::rethrow_exception(first_error_);
  } catch (const MoxFileNameDuplicateException&) {
    throw;
  } catch (...) {
  }
  std::string text = fmt::format("{}: {} of {} files failed:", title_, summary.failed.size(),
                                 summary.failed.size() + static_cast<size_t>(summary.files + summary.skipped));
  for (size_t i = 0; i < summary.failed.size() && i < 5; ++i) text += "\n  " + summary.failed[i].message;
  if (summary.failed.size() > 5) text += fmt::format("\n  and {} more", summary.failed.size() - 5);
  text += moved_ ? "\na move to the same destination goes on" : "\nrun the same copy again";
  throw CopyError(text + ": what is finished is not sent again", summary);
}

}  // namespace mox::file
