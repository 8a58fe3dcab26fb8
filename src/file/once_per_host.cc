// copy_once_per_host: of the processes of a host one copies, the others wait for it.
//
// They share a file beside the destination. Who holds its lock copies; a process that is killed loses it, and the next
// one goes on. Its text says who copies, or what went wrong: those who waited then fail with the same error, each
// without a try of its own, while a process that comes later tries again.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>

#include "base/host.h"
#include "base/random.h"
#include "base/text.h"
#include "file/checksum.h"
#include "file/config.h"
#include "file/file_system.h"
#include "file/local_file_system.h"
#include "file/state_folder.h"
#include "moxing/file.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);  // between looks at the lock
constexpr auto kTellAfter = std::chrono::seconds(2);   // that somebody is waited for
constexpr size_t kMostText = 1 << 16;                  // bytes of the shared file

// "failed" or "copying", a number of the attempt, from where (a digest), who, the kind of the error, its text: a line
// each, the text last.
struct Note {
  std::string state, attempt, source, who, kind, text;
};

std::string write_note(const Note& note) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", note.state, note.attempt, note.source, note.who, note.kind, note.text)
      .substr(0, kMostText);
}

Note read_note(int fd, const std::string& path) {
  std::string bytes(kMostText, '\0');
  bytes.resize(static_cast<size_t>(pread_fully(fd, bytes.data(), static_cast<int64_t>(bytes.size()), 0, path)));
  Note note;
  size_t at = 0;
  for (std::string* field : {&note.state, &note.attempt, &note.source, &note.who, &note.kind}) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    *field = bytes.substr(at, end - at);
    at = std::min(end + 1, bytes.size());
  }
  note.text = bytes.substr(at);
  return note;
}

// The kinds that a caller may want to tell apart; the others become an Error.
std::string kind_of(const std::exception& error) {
  if (dynamic_cast<const NotFoundError*>(&error)) return "missing";
  if (dynamic_cast<const InvalidArgumentError*>(&error)) return "argument";
  if (const auto* os = dynamic_cast<const OsError*>(&error)) return std::to_string(os->code());
  return "other";
}

[[noreturn]] void throw_note(const Note& note) {
  const std::string text = fmt::format("{} (said by {}, which copied for this host)", note.text, note.who);
  if (note.kind == "missing") throw MoxFileNotExistsException(text);
  if (note.kind == "argument") throw InvalidArgumentError(text);
  if (const std::optional<int> code = parse_whole<int>(note.kind)) throw OsError(*code, text);
  throw Error(text);
}

// The lock of all processes that copy to one place of this host.
class HostLock {
 public:
  // Waits until it is this process's. Throws what went wrong where that happened while it waited.
  HostLock(const std::string& path, const std::string& source) : path_(path) {
    const auto begin = std::chrono::steady_clock::now();
    std::string seen;  // the attempt that was there at first
    bool waits = false, told = false;
    for (;; std::this_thread::sleep_for(kLook)) {
      file_.emplace("lock", path_, O_RDWR | O_CREAT | O_NOFOLLOW);
      if (lock_file(file_->get(), path_)) break;
      const Note note = read_note(file_->get(), path_);
      if (!waits && note.state == "failed") seen = note.attempt;
      waits = true;
      if (told || note.state != "copying" || std::chrono::steady_clock::now() - begin < kTellAfter) continue;
      told = true;
      if (!silent_mode()) log_info(fmt::format("copy_once_per_host: waiting for {}, which copies", note.who));
    }
    const Note note = read_note(file_->get(), path_);
    // Somebody's own file is not written over.
    if (!note.state.empty() && note.state != "failed" && note.state != "copying")
      throw OsError(EEXIST, "copy_once_per_host: '" + path_ +
                                "' is no lock of MoXing's, expected one or no such file; move it away");
    const std::string digest = hex_sha256(source);
    if (waits && note.state == "failed" && note.attempt != seen && note.source == digest) throw_note(note);
    mine_.state = "copying";
    mine_.attempt = fmt::format("{:016x}", random_number());
    mine_.source = digest;
    mine_.who = fmt::format("process {} on {}", ::getpid(), host_name());
    write(mine_);
  }

  void failed(const std::exception& error) {
    mine_.state = "failed";
    mine_.kind = kind_of(error);
    mine_.text = error.what();
    write(mine_);
  }
  // Nobody needs the file any more: who waits finds another one under its name, or none.
  void done() { ::unlink(path_.c_str()); }

 private:
  void write(const Note& note) {
    const std::string text = write_note(note);
    // A full disk: the copy says so.
    if (::ftruncate(file_->get(), 0) != 0 ||
        ::pwrite(file_->get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      log_debug("cannot write to " + path_);
  }

  const std::string path_;
  std::optional<Descriptor> file_;
  Note mine_;
};

}  // namespace

CopySummary copy_once_per_host(const std::string& src_url, const std::string& dst_dir, const CopyOptions& options) {
  const Location dst = parse_path(dst_dir).as_file();
  if (!dst.is_local())
    throw InvalidArgumentError("copy_once_per_host to '" + dst_dir +
                               "': the destination is in a store, expected a folder of this host");
  file_system(dst).make_folder(parent_of(dst), /*parents=*/true);
  HostLock lock(dst.path + ".moxlock", src_url);
  try {
    CopySummary summary = sync(src_url, dst_dir, options);  // those that waited find all of it there
    lock.done();
    return summary;
  } catch (const std::exception& e) {
    lock.failed(e);
    throw;
  }
}

}  // namespace mox::file
