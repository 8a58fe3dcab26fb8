// GET: the bytes of an object, or of a range, in order; gone on with where they were when a connection breaks.
#include <algorithm>

#include "file/s3_checksums.h"
#include "file/s3_object_info.h"
#include "file/s3_request.h"

namespace mox::file::s3 {
namespace {

constexpr int kMostWrongAnswers = 3;

struct Enough {};  // thrown to break a connection off: what was asked for is here

class Download {
 public:
  Download(const char* operation, const Location& object, const GetOptions& options)
      : operation_(operation), object_(object), options_(options), etag_(options.etag) {}

  ObjectInfo run(const std::function<void(const ObjectInfo&)>& on_info,
                 const std::function<void(const char*, size_t)>& on_data) {
    on_info_ = &on_info;
    on_data_ = &on_data;
    S3Call call{.operation = operation_, .target = object_, .method = "GET", .accept_statuses = {412, 416}};
    set_headers(call);
    call.on_headers = [this](const HttpResponse& response) { take_headers(response); };
    call.on_data = [this](const char* data, size_t size) { take_data(data, static_cast<int64_t>(size)); };
    call.verify = [this](const HttpResponse&) { return what_is_wrong(); };
    call.before_repeat = [this](S3Call& again) { set_headers(again); };
    HttpResponse response;
    try {
      response = s3_call(call);
    } catch (const Enough&) {
      return info_;
    }
    if (response.status == 412) throw_changed(response.status);
    if (response.status == 416) return behind_the_end(response);
    return info_;
  }

 private:
  int64_t expected() const {
    const int64_t rest = std::max<int64_t>(0, info_.size - options_.offset);
    return options_.length < 0 ? rest : std::min(rest, options_.length);
  }

  // Where the answer to the next request should begin. With all received, the last byte is asked for once more: the
  // answer before was broken, and this one says whether it was right.
  int64_t next_offset() const {
    const bool all = have_info_ && received_ > 0 && received_ == expected();
    return options_.offset + received_ - (all ? 1 : 0);
  }

  void set_headers(S3Call& call) {
    call.headers.clear();
    asked_from_ = options_.ranged || received_ > 0 ? next_offset() : 0;
    if (options_.ranged || received_ > 0)
      call.headers.emplace_back("range",
                                "bytes=" + std::to_string(asked_from_) + "-" +
                                    (options_.length < 0 ? "" : std::to_string(options_.offset + options_.length - 1)));
    else if (checksums_supported())
      call.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
    if (const std::string value = if_match_value(etag_); !value.empty()) call.headers.emplace_back("if-match", value);
  }

  void take_headers(const HttpResponse& response) {
    problem_.clear();
    at_ = 0;
    sends_all_ = response.status == 200;
    if (response.status == 206) {
      const int64_t first = content_range(response).first;
      at_ = first < 0 ? asked_from_ : first;
    }
    ObjectInfo found = info_of(response);
    if (found.etag.empty() && found.mtime_nsec == 0) {
      problem_ = "the answer has neither ETag nor Last-Modified: it is no store's";
      return;
    }
    check_same(found, response.status);
    if (at_ > options_.offset + received_) {
      problem_ = "the answer begins with byte " + std::to_string(at_) + ", expected " +
                 std::to_string(options_.offset + received_);
      return;
    }
    settle_size(found);
    if (!problem_.empty() || have_info_) return;
    have_info_ = true;
    info_ = std::move(found);
    if (etag_.empty()) etag_ = info_.etag;
    if (on_info_ && *on_info_) (*on_info_)(info_);
  }

  // Parts of two objects must not be mixed: the same ETag, or where there is none the same time.
  void check_same(const ObjectInfo& found, int status) const {
    if (!etag_.empty() && !found.etag.empty()) {
      if (without_weak_mark(etag_) != without_weak_mark(found.etag)) throw_changed(status);
    } else if (have_info_ && info_.mtime_nsec != found.mtime_nsec && info_.mtime_nsec != 0 && found.mtime_nsec != 0) {
      throw_changed(status);
    }
  }

  // The size must be one that is told twice, or that nothing contradicts.
  void settle_size(ObjectInfo& found) {
    const int64_t known = have_info_ ? info_.size : options_.size;
    if (found.size == known && known != kUnknownSize) return;
    if (found.size != kUnknownSize && known == kUnknownSize && is_trusted(found)) return;
    const auto there = head(operation_, object_);
    if (!there) throw_changed(404);
    const std::string says = "HEAD says that the object has " + std::to_string(there->size) + " bytes, GET says " +
                             (found.size == kUnknownSize ? "nothing of it" : std::to_string(found.size));
    if (found.size == kUnknownSize) {
      if (have_info_ && there->size != info_.size) throw_wrong(says);
      found.size = there->size;
      return;
    }
    if (found.size != there->size) {
      problem_ = says;
    } else if (known != kUnknownSize &&
               (have_info_ || options_.length >= 0)) {  // data was taken, or is about to be, by another size
      throw_wrong("the store said that the object has " + std::to_string(known) + " bytes, now HEAD and GET say " +
                  std::to_string(there->size));
    }
  }

  void take_data(const char* data, int64_t size) {
    if (!problem_.empty()) throw_problem();
    const int64_t skipped = std::clamp<int64_t>(options_.offset + received_ - at_, 0, size);
    at_ += size;
    data += skipped;
    const int64_t wanted = std::min(size - skipped, expected() - received_);
    if (wanted > 0) {
      (*on_data_)(data, static_cast<size_t>(wanted));
      received_ += wanted;
    }
    if (at_ > info_.size)
      problem_ = "the body had more than the " + std::to_string(info_.size) + " bytes of the object";
    if (sends_all_ && received_ == expected() && at_ < info_.size) throw Enough();
  }

  // Breaks the transfer off; s3_call repeats it.
  [[noreturn]] void throw_problem() {
    count_wrong_answer();
    throw BrokenAnswer{problem_};
  }

  std::string what_is_wrong() {
    if (!problem_.empty()) {
      count_wrong_answer();
      return problem_;
    }
    if (received_ == expected()) return "";
    return "the body had " + std::to_string(received_) + " bytes, expected " + std::to_string(expected());
  }

  void count_wrong_answer() {
    if (++wrong_answers_ >= kMostWrongAnswers) throw_wrong(problem_);
  }

  ObjectInfo behind_the_end(const HttpResponse& response) {
    const int64_t told = content_range(response).total;
    if (have_info_) {  // an answer before said that there is more
      const auto there = head(operation_, object_);
      if (there && there->size == info_.size)
        throw_wrong("GET has no byte " + std::to_string(next_offset()) + " of the " + std::to_string(there->size) +
                    " that HEAD tells");
      throw_wrong("an answer to GET said that the object has " + std::to_string(info_.size) + " bytes, " +
                  (there ? "HEAD says " + std::to_string(there->size) : "and it is gone"));
    }
    if (!options_.ranged) throw_wrong("GET without a range is answered with status 416: no such range");
    if (options_.offset == 0) {  // an empty object has no first byte
      GetOptions whole = options_;
      whole.ranged = false;
      return Download(operation_, object_, whole).run(*on_info_, *on_data_);
    }
    info_.size = told == kUnknownSize ? std::max<int64_t>(0, options_.size) : told;
    if (options_.size > options_.offset)
      throw_wrong("GET has no byte " + std::to_string(options_.offset) + " of the " + std::to_string(options_.size) +
                  " that HEAD told");
    return info_;
  }

  Response described(int status, const char* code) const {
    return {status, code, "", "", current_config()->host, "/" + object_.bucket + "/" + object_.key};
  }
  std::string where() const {
    return std::string(operation_) + " '" + object_.str() + "' at " + current_config()->endpoint() + ": ";
  }
  [[noreturn]] void throw_wrong(const std::string& text) const {
    throw WrongBytes(where() + text + "; try again, and if it stays so, see to the store or the proxy before it",
                     described(200, "SizesDisagree"));
  }
  [[noreturn]] void throw_changed(int status) const {
    throw MoxFileReadException(where() + "the object was replaced while it was read; read it again",
                               described(status, "PreconditionFailed"));
  }

  const char* operation_;
  const Location& object_;
  const GetOptions& options_;
  const std::function<void(const ObjectInfo&)>* on_info_ = nullptr;
  const std::function<void(const char*, size_t)>* on_data_ = nullptr;
  std::string etag_;
  ObjectInfo info_;
  bool have_info_ = false;
  int64_t received_ = 0;    // and handed over
  int64_t asked_from_ = 0;  // of this request
  int64_t at_ = 0;          // the object's byte that comes next; a server that ignores Range begins with the first
  bool sends_all_ = false;  // the answer is the whole object, not a range
  std::string problem_;     // of this answer
  int wrong_answers_ = 0;
};

}  // namespace

ObjectInfo get(const char* operation, const Location& object, const GetOptions& options,
               const std::function<void(const ObjectInfo&)>& on_info,
               const std::function<void(const char*, size_t)>& on_data) {
  return Download(operation, object, options).run(on_info, on_data);
}

}  // namespace mox::file::s3
