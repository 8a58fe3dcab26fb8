// File operations on local paths and on object stores: `s3://bucket/key`; `obs://` is the same. Every function takes
// either, in any mix, and may be called from any thread. Failures are the exceptions of file_error.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moxing/export.h"
#include "moxing/file_error.h"

namespace mox::file {

// What there is at a path.
struct MOX_EXPORT Stat {
  int64_t length = 0;      // bytes; 0 for a folder
  int64_t mtime_nsec = 0;  // nanoseconds since 1970; 0 for a folder of an object store
  bool is_directory = false;
  uint32_t mode = 0;  // type and permission bits, as st_mode
  std::string etag;   // object stores only
};

// One name in a folder.
struct MOX_EXPORT DirEntry {
  std::string name;  // relative to the folder; with '/' in it only when listed recursively
  std::string path;  // folder + '/' + name
  Stat stat;
  bool is_dir() const { return stat.is_directory; }
  bool is_file() const { return !stat.is_directory; }
};

// What of a folder is listed.
struct MOX_EXPORT ListOptions {
  bool recursive = false;  // all that lies below, not the first level only
  bool remove_sep = true;  // false: folder names end with '/'
  bool skip_file = false;  // folders only
  bool skip_dir = false;   // files only
};

// What a folder holds; `dirnames` may be changed by the visitor of a top-down walk to steer it.
struct MOX_EXPORT WalkEntry {
  std::string dirpath;
  std::vector<std::string> dirnames;
  std::vector<std::string> filenames;
};

// How folders are copied: copy_parallel, sync, copy_once_per_host.
struct MOX_EXPORT CopyOptions {
  std::vector<std::string> file_list = {};  // relative to the source; empty: all
  int threads = 16;                         // transfers at once; 0: in the calling thread
  bool is_processing = true;                // kept for old callers: transfers are threads, never processes
  bool use_queue = true;                    // kept for old callers: there is always a queue
  bool only_different = false;              // leave out what the destination has already, as sync does
  bool delete_extra = false;                // sync only: remove from the destination what the source lacks
  bool bucket = false;                      // with delete_extra: the destination may be a whole bucket
};

// One file that a copy could not transfer.
struct MOX_EXPORT CopyFailure {
  std::string path;
  std::string message;
};

// What a copy of a folder did.
struct MOX_EXPORT CopySummary {
  int64_t files = 0;    // transferred
  int64_t bytes = 0;    // sent or received
  int64_t skipped = 0;  // already there
  int64_t deleted = 0;  // by delete_extra
  double seconds = 0;
  std::vector<CopyFailure> failed;
};

// Some files of a copy failed; the others are in place.
class MOX_EXPORT CopyError : public Error {
 public:
  CopyError(const std::string& message, CopySummary summary) : Error(message), summary_(std::move(summary)) {}
  ~CopyError() override;
  const CopySummary& summary() const { return summary_; }

 private:
  CopySummary summary_;
};

// The whole content. The same call reads text and binary: bytes are bytes. MoxFileNotExistsException when there is no
// such file, OsError(EISDIR) for a local folder, MoxFileReadException when what came is not what the store has.
MOX_EXPORT std::string read(const std::string& url);
// Calls `allocate(size)` and fills the memory that it returns: for callers with a buffer of their own. Calls it once
// more, for all of it, when the first answer of a store turned out to be wrong.
MOX_EXPORT void read_to(const std::string& url, const std::function<char*(int64_t size)>& allocate);
// Replaces the whole content, atomically: a reader sees the old or the new one. OsError(ENOENT) when a local parent
// folder is missing, OsError(EISDIR) where a local folder has the name; MoxFileRespException when a store refuses.
MOX_EXPORT void write(const std::string& url, std::string_view data);
// Adds to the end; creates the file when it is missing. Errors as write.
MOX_EXPORT void append(const std::string& url, std::string_view data);
// Adds the content of src to the end of dst; inside the store where part sizes allow it. InvalidArgumentError when both
// are one file.
MOX_EXPORT void append_remote(const std::string& src_url, const std::string& dst_url);

// Whether there is a file or folder. MoxFileRespException, not false, where the store does not say.
MOX_EXPORT bool exists(const std::string& url);
// Whether there is a folder; true also for a store's `x/` beside an object `x`. Errors as exists.
MOX_EXPORT bool is_directory(const std::string& url);
// Bytes of a file. Of a local folder: all below it; of an object store's folder: 0 unless recursive.
// MoxFileNotExistsException when it is missing.
MOX_EXPORT int64_t get_size(const std::string& url, bool recursive = false);
// MoxFileNotExistsException when it is missing.
MOX_EXPORT Stat stat(const std::string& url);

// Names in the folder, in byte order. MoxFileNotExistsException when it is missing, OsError(ENOTDIR) for a file.
MOX_EXPORT std::vector<std::string> list_directory(const std::string& url, const ListOptions& options = {});
// The same, streamed: one page in memory, however many there are. Return false from `visit` to stop. What `visit`
// throws comes out.
MOX_EXPORT void list_each(const std::string& url, const ListOptions& options,
                          const std::function<bool(const DirEntry&)>& visit);
// list_directory with what is known of each entry, without a request for each.
MOX_EXPORT std::vector<DirEntry> scan_dir(const std::string& url);
// Absolute paths that match: * ? [..] within one level, ** over any number of levels. Sorted. A folder of the path that
// is there under exactly this name (`run[1]`, `a*b`) is taken as it is: only what no folder is named like is a pattern.
MOX_EXPORT std::vector<std::string> glob(const std::string& url);
// The same below `folder`, which is no pattern, whatever characters are in it.
MOX_EXPORT std::vector<std::string> glob(const std::string& folder, const std::string& pattern);
// Visits `url` and all folders below, as os.walk does; symbolic links to folders are entered only with followlinks.
MOX_EXPORT void walk(const std::string& url, const std::function<void(WalkEntry&)>& visit, bool topdown = true,
                     bool followlinks = false);

// OsError(ENOENT) when the parent is missing, OsError(EEXIST) when a file has the name.
MOX_EXPORT void mk_dir(const std::string& url);
// The same with all parents; a folder that is there already is none too many.
MOX_EXPORT void make_dirs(const std::string& url);
// Not recursive: the file `url`, never a folder. Recursive: the folder too. What is missing is passed over in silence;
// with a trailing '/' only a folder is meant. InvalidArgumentError, before anything goes, for `/`, `.`, `..`, the
// current and the home folder, a mount's root, a folder that holds one of them, and for a bucket unless `bucket` (with
// recursive: all that is in it, then the bucket itself).
MOX_EXPORT void remove(const std::string& url, bool recursive = false, bool bucket = false);
// Throws what remove(url, true, bucket) would throw for such places; removes nothing.
MOX_EXPORT void check_removable(const std::string& url, bool bucket = false);
// Files and folders, across stores. The source goes only after the destination was looked at: size, and checksum where
// the store has one; what came or changed meanwhile stays, and is an error. The places that remove refuses are refused
// as source and as destination; `bucket` allows whole buckets.
MOX_EXPORT void rename(const std::string& src_url, const std::string& dst_url, bool bucket = false);
// One file. Atomic at the destination, verified by size and checksum. MoxFileNotExistsException when src is missing.
MOX_EXPORT void copy(const std::string& src_url, const std::string& dst_url);
// The content of the folder src into the folder dst. Throws CopyError when some files failed.
MOX_EXPORT CopySummary copy_parallel(const std::string& src_url, const std::string& dst_url,
                                     const CopyOptions& options = {});
// As copy_parallel, but only what differs: docs/file.md has the rule. With delete_extra the destination must not be one
// of the places that remove refuses.
MOX_EXPORT CopySummary sync(const std::string& src_url, const std::string& dst_url, CopyOptions options = {});
// For many processes on one host that need the same copy: the first copies, the others wait for it and share it. Where
// it is killed, the next one goes on; where its copy fails, those that wait fail with its error. Errors as sync, and
// InvalidArgumentError for a destination in a store.
MOX_EXPORT CopySummary copy_once_per_host(const std::string& src_url, const std::string& dst_dir,
                                          const CopyOptions& options = {});

// How to reach the object store. What is not set here comes from the environment: MOX_<NAME IN CAPITALS>, then
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL, AWS_REGION, then ACCESS_KEY_ID,
// SECRET_ACCESS_KEY, S3_ENDPOINT.
struct MOX_EXPORT AuthOptions {
  std::optional<std::string> ak = {};      // access key
  std::optional<std::string> sk = {};      // secret key
  std::optional<std::string> server = {};  // host, host:port or http(s)://host:port
  std::optional<int> port = {};
  std::optional<bool> is_secure = {};       // https (default) or http
  std::optional<bool> ssl_verify = {};      // default true
  std::optional<bool> long_conn_mode = {};  // default true: connections are used again
  std::optional<bool> path_style = {};      // host/bucket/key; false: bucket.host/key; default by the kind of server
  std::optional<int> retry = {};            // attempts in all
  std::optional<double> retry_wait = {};    // seconds before the second attempt; doubled for each further, with jitter
  std::optional<double> client_timeout = {};  // seconds without a byte after which an attempt counts as failed
  std::optional<int> list_max_keys = {};      // names in one page of a listing
  std::optional<std::string> token = {};      // session token
  std::optional<std::string> region = {};
};
// What is set in `options` holds for operations that begin from now on; what is not keeps what earlier calls set. The
// environment is read again. InvalidArgumentError that names the field, what was got and the range.
MOX_EXPORT void set_auth(const AuthOptions& options);

}  // namespace mox::file
