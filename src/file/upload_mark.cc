#include "file/upload_mark.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/json_text.h"
#include "base/mutex.h"
#include "file/config.h"
#include "file/local_file_system.h"
#include "file/s3_client.h"
#include "file/sigv4.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr char kKind[] = "multipart";
constexpr int64_t kSecond = 1000000000;
constexpr int64_t kClocksApart = 15 * 60 * kSecond;       // more, and the store takes no request
constexpr int64_t kForgotten = 30 * 24 * 3600 * kSecond;  // of a store that nobody uses any more

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    lines.push_back(text.substr(at, end - at));
  return lines;
}

bool append(StateNote& note, const std::string& line) {
  try {
    note.append(line);
    return true;
  } catch (const std::exception& e) {
    log_debug(std::string("an upload cannot be noted: ") + e.what());
    return false;
  }
}

enum class Left { kGone, kAborted, kStays };

Left abort(const Location& object, const std::string& id, bool once_more) {
  try {
    if (!s3::abort_upload_or_throw({object, id})) return Left::kGone;
    if (!once_more)
      log_info("an upload of '" + object.str() + "' that a killed process left was removed from the store");
    return Left::kAborted;
  } catch (const std::exception& e) {
    log_debug(std::string("an upload that a killed process left could not be removed: ") + e.what());
    return Left::kStays;
  }
}

// The process was killed before it knew the upload's name, if the store began it at all: one of this very time.
Left abort_nameless(const Location& object, int64_t begun_nsec) {
  Left worst = Left::kGone;
  for (const S3Upload& upload : s3::list_uploads("abort upload", object)) {
    const int64_t apart = upload.initiated_nsec - begun_nsec;
    if (upload.key != object.key || apart > kClocksApart || apart < -kClocksApart) continue;
    worst = std::max(worst, abort(object, upload.upload_id, false));
  }
  return worst;
}

// endpoint, bucket, key, then the upload's name when it is known, then kAbortedMark. A part that was on its way when
// the process was killed may arrive after its upload was aborted, and the upload be there again: the next process
// aborts it once more. (Some stores say that they aborted what they do not have.)
void settle_mark(const std::string& endpoint, StateNote& note) {
  constexpr char kAbortedMark[] = "aborted";
  const auto lines = lines_of(note.content());
  const int64_t age = static_cast<int64_t>(std::time(nullptr)) * kSecond - note.changed_nsec();
  if (lines.size() < 3 || age > kForgotten) return note.remove();
  if (lines[0] != endpoint) return;
  const Location object{"s3", lines[1], percent_decode(lines[2]), ""};
  const bool once_more = lines.back() == kAbortedMark;
  const bool named = lines.size() > (once_more ? 4 : 3);
  const Left left = named ? abort(object, lines[3], once_more) : abort_nameless(object, note.changed_nsec());
  if (left == Left::kGone || (left == Left::kAborted && once_more))
    note.remove();
  else if (left == Left::kAborted)
    append(note, kAbortedMark + std::string("\n"));
}

bool is_source_unchanged(const nlohmann::json& note) {
  const auto st = LocalFileSystem().stat({"", "", "", percent_decode(note.value("source", ""))});
  return st && st->length == note.value("size", int64_t{-1}) && st->mtime_nsec == note.value("mtime_nsec", int64_t{-1});
}

// Notes of upload.cc.
void settle_resumable(const std::string& endpoint, StateNote& note) {
  const auto content = parse_json(note.content(), /*allow_exceptions=*/false);
  if (!content.is_object() || !content.contains("source") || content.value("endpoint", "") != endpoint) return;
  if (is_source_unchanged(content)) return;
  const Location object{"s3", content.value("bucket", ""), percent_decode(content.value("key", "")), ""};
  if (abort(object, content.value("upload", ""), false) != Left::kStays) note.remove();
}

}  // namespace

std::shared_ptr<UploadMark> UploadMark::begin(const Location& object) {
  static std::atomic<unsigned> counter{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const std::string text =
      current_config()->endpoint() + "\n" + object.bucket + "\n" + percent_encode(object.key, false) + "\n";
  auto note = StateNote::take(
      kKind, text + std::to_string(::getpid()) + "-" + std::to_string(counter++) + "-" + std::to_string(now));
  if (!note) return nullptr;
  if (!append(*note, text)) return nullptr;
  return std::shared_ptr<UploadMark>(new UploadMark(std::move(note)));
}

void UploadMark::set_id(const std::string& id) { append(*note_, id + "\n"); }

void UploadMark::remove() { note_->remove(); }

void abort_left_uploads() {
  static Mutex mu;
  static auto* done MOX_PT_GUARDED_BY(mu) = new std::set<std::string>;
  const std::string endpoint = current_config()->endpoint();
  MutexLock lock(mu);
  if (!done->insert(endpoint).second) return;
  try {
    StateNote::for_each(kKind, [&](StateNote& note) { settle_mark(endpoint, note); });
    StateNote::for_each("upload", [&](StateNote& note) { settle_resumable(endpoint, note); });
  } catch (const std::exception& e) {
    log_debug(std::string("uploads that killed processes left were not all removed: ") + e.what());
  }
}

}  // namespace mox::file
