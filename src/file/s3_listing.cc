#include "file/s3_listing.h"

#include <sys/stat.h>

#include <cerrno>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <unordered_set>

#include "file/config.h"
#include "file/s3_client.h"
#include "file/worker_pool.h"

namespace mox::file {
namespace {

constexpr size_t kRemovalsInFlight = 4;
constexpr size_t kKeysPerRemoval = 1000;
constexpr int kMostEmptyPages = 1000;  // in a row; stores give some after many keys were removed

// Pages of a listing, the next one under way while the caller works on this one.
class PageReader {
 public:
  PageReader(const char* operation, const Location& prefix, std::string delimiter)
      : operation_(operation), prefix_(prefix), delimiter_(std::move(delimiter)) {
    page_ = fetch({});
    check_progress();
    read_ahead();
  }
  ~PageReader() {
    if (next_.valid()) next_.wait();
  }
  PageReader(const PageReader&) = delete;
  PageReader& operator=(const PageReader&) = delete;

  const S3Page& page() const { return page_; }
  // False at the end.
  bool advance() {
    if (!next_.valid()) return false;
    try {
      next_.get();
    } catch (const MoxFileNotExistsException& e) {  // what came before was there: this is no empty folder
      throw MoxFileRespException("the listing broke off after " + std::to_string(pages_) + " pages: " + e.what(),
                                 e.resp());
    }
    page_ = std::move(incoming_);
    check_progress();
    read_ahead();
    return true;
  }

 private:
  // Each name comes once, and so does each place to go on from: a store that repeats one would never end.
  void check_progress() {
    ++pages_;
    const bool empty = page_.objects.empty() && page_.prefixes.empty();
    empty_pages_ = empty ? empty_pages_ + 1 : 0;
    if (!page_.truncated) return;
    const std::string first = !page_.objects.empty()    ? "o" + page_.objects[0].key
                              : !page_.prefixes.empty() ? "p" + page_.prefixes[0]
                                                        : "";
    const bool new_place = seen_.insert(std::hash<std::string>()("n" + page_.next)).second;
    const bool new_name = empty || seen_.insert(std::hash<std::string>()(first)).second;
    if (new_place && new_name && empty_pages_ <= kMostEmptyPages) return;
    throw DataError(std::string(operation_) + " '" + prefix_.str() + "' at " + current_config()->endpoint() +
                    ": the store's listing never ends: after " + std::to_string(pages_) + " pages " +
                    (!new_place  ? "it says once more to go on from '" + page_.next + "'"
                     : !new_name ? "it begins once more with '" + first.substr(1) + "'"
                                 : "it goes on with empty ones") +
                    "; tell the store's operator");
  }
  S3Page fetch(const s3::PageStart& from) const {
    return s3::list_page(operation_, prefix_, delimiter_, from, current_config()->list_max_keys);
  }
  void read_ahead() {
    if (!page_.truncated) return;
    next_ =
        run_in_background([this, from = s3::PageStart{page_.next, page_.next_is_name}] { incoming_ = fetch(from); });
  }

  const char* operation_;
  Location prefix_;
  std::string delimiter_;
  S3Page page_, incoming_;
  int pages_ = 0, empty_pages_ = 0;
  std::unordered_set<size_t> seen_;  // hashes of where pages began and where they said to go on
  std::future<void> next_;
};

DirEntry entry_of(const S3Object& object, const std::string& name, const std::string& path) {
  if (!object.size_known)
    throw DataError("list '" + path + "' at " + current_config()->endpoint() +
                    ": the store's listing tells no size of it");
  DirEntry entry{name, path, {}};
  entry.stat.length = object.size;
  entry.stat.mtime_nsec = object.mtime_nsec;
  entry.stat.mode = S_IFREG | 0644;
  entry.stat.etag = object.etag;
  return entry;
}

// nullptr when the store says that there is no such bucket. What comes later is not caught: neither a page that is
// missing nor what the caller does with one is a folder that does not exist.
std::unique_ptr<PageReader> open_listing(const char* operation, const Location& prefix, const char* delimiter) {
  try {
    return std::make_unique<PageReader>(operation, prefix, delimiter);
  } catch (const MoxFileNotExistsException&) {
    return nullptr;
  }
}

// Turns keys in byte order into entries; folders that only exist as part of a key are told before what is in them.
class EntryMaker {
 public:
  EntryMaker(const Location& folder, bool recursive, const EntryVisitor& visit, bool markers_with_content)
      : folder_(folder),
        prefix_(folder.folder_prefix()),
        recursive_(recursive),
        visit_(visit),
        markers_with_content_(markers_with_content) {}

  bool object(const S3Object& object) {
    const std::string name = object.key.substr(prefix_.size());
    const size_t first_slash = name.find('/');
    if (!recursive_ && first_slash != std::string::npos) return folders(name.substr(0, first_slash + 1));
    const size_t slash = name.rfind('/');
    if (slash != std::string::npos && !folders(name.substr(0, slash + 1))) return false;
    const bool marker = name.empty() || name.back() == '/';
    if (marker && (!markers_with_content_ || object.size == 0)) return true;
    DirEntry entry = entry_of(object, name, path_of(name));
    return visit_(entry);
  }

  size_t prefix_size() const { return prefix_.size(); }

  // `name` ends with '/': tells each folder of it that was not told before.
  bool folders(const std::string& name) {
    size_t at = 0;
    while (at < name.size() && at < told_.size() && name[at] == told_[at]) ++at;
    const bool inside_told = at == name.size();  // told_ goes deeper or is the same
    // Back to a component's beginning.
    at = at == 0 ? 0 : name.rfind('/', at - 1) + 1;
    told_ = name;
    if (inside_told) return true;
    for (size_t end = name.find('/', at); end != std::string::npos; end = name.find('/', end + 1)) {
      DirEntry entry{name.substr(0, end), path_of(name.substr(0, end)), {}};
      if (entry.name.empty()) entry.name = entry.path = "/";
      entry.stat.is_directory = true;
      entry.stat.mode = S_IFDIR | 0755;
      if (!visit_(entry)) return false;
    }
    return true;
  }

 private:
  std::string path_of(const std::string& name) const {
    return Location{folder_.scheme, folder_.bucket, prefix_ + name, ""}.str();
  }

  const Location& folder_;
  std::string prefix_;
  bool recursive_;  // false: of a store that ignores the delimiter, names below a folder are left out
  const EntryVisitor& visit_;
  const bool markers_with_content_;
  std::string told_;
};

// Objects and folders of one page, merged in byte order.
bool visit_page(const S3Page& page, EntryMaker& entries) {
  size_t o = 0, p = 0;
  const size_t skip = entries.prefix_size();
  while (o < page.objects.size() || p < page.prefixes.size()) {
    const bool take_object =
        p == page.prefixes.size() || (o < page.objects.size() && page.objects[o].key < page.prefixes[p]);
    if (take_object ? !entries.object(page.objects[o++]) : !entries.folders(page.prefixes[p++].substr(skip)))
      return false;
  }
  return true;
}

}  // namespace

bool list_objects(const Location& folder, bool recursive, const EntryVisitor& visit, bool markers_with_content) {
  Location prefix = folder;
  prefix.key = folder.folder_prefix();
  const auto pages = open_listing("list", prefix, recursive ? "" : "/");
  if (!pages) return false;
  EntryMaker entries(prefix, recursive, visit, markers_with_content);
  bool found = prefix.key.empty();  // an empty bucket is a folder
  do {
    found = found || !pages->page().objects.empty() || !pages->page().prefixes.empty();
    if (!visit_page(pages->page(), entries)) return true;
  } while (pages->advance());
  return found;
}

bool any_object_below(const Location& folder) {
  Location prefix = folder;
  prefix.key = folder.folder_prefix();
  s3::PageStart from;
  for (int i = 0; i <= kMostEmptyPages; ++i) {
    S3Page page;
    try {
      page = s3::list_page("stat", prefix, "", from, 1);
    } catch (const MoxFileNotExistsException&) {
      return false;  // no such bucket
    }
    if (!page.objects.empty() || !page.prefixes.empty()) return true;
    if (!page.truncated || page.next == from.text) return false;
    from = {page.next, page.next_is_name};
  }
  return false;
}

int64_t remove_objects_below(const Location& folder, const std::function<bool(const DirEntry&)>& wanted) {
  int64_t stayed = 0;
  Location prefix = folder;
  prefix.key = folder.folder_prefix();
  std::deque<std::future<void>> in_flight;
  const auto wait_down_to = [&](size_t most) {
    while (in_flight.size() > most) {
      std::future<void> first = std::move(in_flight.front());
      in_flight.pop_front();
      first.get();
    }
  };
  const auto pages = open_listing("remove", prefix, "");
  if (!pages) return 0;
  std::vector<std::string> keys;
  const auto send = [&] {
    if (keys.empty()) return;
    wait_down_to(kRemovalsInFlight - 1);
    in_flight.push_back(
        run_in_background([prefix, keys = std::move(keys)] { s3::remove_objects("remove", prefix, keys); }));
    keys.clear();
  };
  do {
    for (const S3Object& object : pages->page().objects) {
      if (wanted && !wanted(entry_of(object, object.key.substr(prefix.key.size()), object.key))) {
        ++stayed;
        continue;
      }
      keys.push_back(object.key);
      if (keys.size() == kKeysPerRemoval) send();
    }
  } while (pages->advance());
  send();
  wait_down_to(0);
  return stayed;
}

}  // namespace mox::file
