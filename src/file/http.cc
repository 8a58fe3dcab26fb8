#include "file/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>

#include "base/mutex.h"
#include "base/text.h"
#include "moxing/version.h"

namespace mox::file {
namespace {

constexpr long kBufferSize = 128 << 10;
constexpr long kLongestConnect = 10;  // seconds
constexpr size_t kLargestErrorBody = 1 << 20;
constexpr size_t kLargestAnswer = 64 << 20;  // that is kept in memory: a page of a listing has less than 2 MiB

// Handles that wait for their next request, each with its open connection; the last one used is the first to go.
class HandlePool {
 public:
  static HandlePool& get() {
    static auto* pool = new HandlePool;  // never destroyed: background threads may still transfer at exit
    return *pool;
  }

  CURL* take() {
    {
      MutexLock lock(mu_);
      if (!idle_.empty()) {
        CURL* handle = idle_.back();
        idle_.pop_back();
        return handle;
      }
    }
    return curl_easy_init();
  }

  void give(CURL* handle) {
    curl_easy_reset(handle);  // keeps connections
    MutexLock lock(mu_);
    idle_.push_back(handle);
  }

 private:
  HandlePool() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    // A child must not talk on its parent's connections: it starts with none.
    // Locked by one handler and unlocked by another, which the analysis cannot see.
    ::pthread_atfork([]() MOX_NO_THREAD_SAFETY_ANALYSIS { get().mu_.lock(); },
                     []() MOX_NO_THREAD_SAFETY_ANALYSIS { get().mu_.unlock(); },
                     []() MOX_NO_THREAD_SAFETY_ANALYSIS {
                       get().idle_.clear();
                       get().mu_.unlock();
                     });
  }

  Mutex mu_;
  std::vector<CURL*> idle_ MOX_GUARDED_BY(mu_);
};

struct Exchange {
  const HttpRequest* request;
  HttpResult* result;
  int64_t sent = 0;
  bool head_whole = false;  // the empty line behind the headers has come
  bool headers_reported = false;
  std::exception_ptr thrown;  // by a callback of the caller
  double timeout = 0;         // seconds
  curl_off_t moved = -1;      // bytes up and down when something moved last
  std::chrono::steady_clock::time_point moved_at = std::chrono::steady_clock::now();
  bool stalled = false;
  bool too_large = false;
};

void take_header_line(std::string_view line, HttpResponse* response, bool* head_whole) {
  if (line.rfind("HTTP/", 0) == 0) {  // also after a 100 Continue
    *head_whole = false;
    response->status = 0;
    response->headers.clear();
    const size_t space = line.find(' ');
    if (space != std::string_view::npos)
      std::from_chars(line.data() + space + 1, line.data() + line.size(), response->status);
    return;
  }
  if (*head_whole) return;  // a trailer behind a chunked body
  if (line.find_first_not_of("\r\n") == std::string_view::npos) {
    *head_whole = true;
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name = lower_case(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  const char* spaces = " \t\r\n";
  const size_t first = value.find_first_not_of(spaces);
  if (first == std::string_view::npos)
    value = {};
  else
    value = value.substr(first, value.find_last_not_of(spaces) - first + 1);
  response->headers[name] = std::string(value);
}

size_t on_header(char* data, size_t size, size_t count, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  take_header_line({data, size * count}, &exchange->result->response, &exchange->head_whole);
  return size * count;
}

void report_headers(Exchange* exchange) {
  if (exchange->headers_reported) return;
  exchange->headers_reported = true;
  const HttpResponse& response = exchange->result->response;
  if (response.status >= 200 && response.status < 300 && exchange->request->on_headers)
    exchange->request->on_headers(response);
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  HttpResponse& response = exchange->result->response;
  const size_t bytes = size * count;
  try {
    report_headers(exchange);
    exchange->moved_at = std::chrono::steady_clock::now();  // what is done with the headers is no stall of the network
    if (response.status < 300 && exchange->request->on_data) {
      exchange->request->on_data(data, bytes);
      exchange->moved_at = std::chrono::steady_clock::now();  // a slow disk is no stall of the network
    } else if (response.body.size() + bytes <= (response.status < 300 ? kLargestAnswer : kLargestErrorBody)) {
      response.body.append(data, bytes);
    } else if (response.status < 300) {
      exchange->too_large = true;
      return CURL_WRITEFUNC_ERROR;
    }
  } catch (...) {
    exchange->thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  return bytes;
}

size_t on_read(char* into, size_t size, size_t count, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  try {
    if (!exchange->request->body) return 0;
    const int64_t left = exchange->request->body->size - exchange->sent;
    const int64_t wanted = std::min<int64_t>(left, static_cast<int64_t>(size * count));
    if (wanted == 0) return 0;
    const int64_t got = exchange->request->body->read(exchange->sent, into, wanted);
    exchange->sent += got;
    exchange->moved_at = std::chrono::steady_clock::now();
    return static_cast<size_t>(got);
  } catch (...) {
    exchange->thrown = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

// curl repeats a request by itself when a connection that was kept open turns out to be closed.
int on_seek(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(user)->sent = offset;
  return CURL_SEEKFUNC_OK;
}

// curl's own low-speed limit averages over several seconds; this one is exact.
int on_progress(void* user, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up) {
  auto* exchange = static_cast<Exchange*>(user);
  const auto now = std::chrono::steady_clock::now();
  if (down + up != exchange->moved) {
    exchange->moved = down + up;
    exchange->moved_at = now;
  }
  exchange->stalled = std::chrono::duration<double>(now - exchange->moved_at).count() >= exchange->timeout;
  return exchange->stalled ? 1 : 0;
}

// Programs that this one starts do not inherit the connection.
int on_open(void*, curl_socket_t socket, curlsocktype) {
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
  return CURL_SOCKOPT_OK;
}

// A forked child may hold a copy: without the shutdown the store would go on sending an answer that was broken off, and
// hold its lock on the object.
int on_close(void*, curl_socket_t socket) {
  ::shutdown(socket, SHUT_RDWR);
  return ::close(socket);
}

HttpFailure classify(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return HttpFailure::kNone;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return HttpFailure::kUnreachable;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return HttpFailure::kPermanent;
    default:
      return HttpFailure::kBroken;
  }
}

void set_transport_options(CURL* handle, const Config& config) {
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, on_open);
  curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);  // a key may hold ".."
  curl_easy_setopt(handle, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kBufferSize);
  curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
  const long timeout = std::max(1L, std::lround(std::ceil(config.timeout)));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, std::min(timeout, kLongestConnect));
  curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, config.long_connections ? 0L : 1L);
  if (!config.is_secure) return;
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, config.ssl_verify ? 1L : 0L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, config.ssl_verify ? 2L : 0L);
  if (!config.ca_bundle.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, config.ca_bundle.c_str());
}

void set_method(CURL* handle, const HttpRequest& request) {
  if (request.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT" || request.method == "POST") {
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body ? request.body->size : 0));
  } else if (request.method != "GET") {
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

void set_callbacks(CURL* handle, Exchange* exchange) {
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, exchange);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, exchange);
  curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(handle, CURLOPT_READDATA, exchange);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, exchange);
  curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, on_seek);
  curl_easy_setopt(handle, CURLOPT_SEEKDATA, exchange);
}

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

HeaderList header_list(const HttpRequest& request) {
  curl_slist* list = nullptr;
  for (const std::string& line : request.header_lines) list = curl_slist_append(list, line.c_str());
  list = curl_slist_append(list, "Expect:");  // a wait of a round trip for nothing
  list = curl_slist_append(list, "Accept:");
  return HeaderList(list);
}

}  // namespace

BodySource body_of(std::string_view data) {
  return {static_cast<int64_t>(data.size()), [data](int64_t offset, char* into, int64_t size) {
            std::memcpy(into, data.data() + offset, static_cast<size_t>(size));
            return size;
          }};
}

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

int64_t HttpResponse::number(const std::string& name) const {
  const int64_t value = parse_whole<int64_t>(header(name)).value_or(-1);
  return value >= 0 ? value : -1;
}

HttpResult http_perform(const HttpRequest& request, const Config& config) {
  HttpResult result;
  CURL* handle = HandlePool::get().take();
  if (!handle) throw Error("curl_easy_init failed: out of memory?");
  Exchange exchange{.request = &request, .result = &result, .thrown = nullptr, .timeout = config.timeout};
  char error_text[CURL_ERROR_SIZE] = "";
  static const auto& user_agent = *new std::string(std::string("moxing/") + version());
  set_transport_options(handle, config);
  set_method(handle, request);
  set_callbacks(handle, &exchange);
  const HeaderList headers = header_list(request);
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_USERAGENT, user_agent.c_str());
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_text);
  const CURLcode code = curl_easy_perform(handle);
  // curl takes a connection that is closed within the head for the end of an answer without a body.
  const bool answered = exchange.head_whole && result.response.status >= 200;
  try {
    if (code == CURLE_OK && answered) report_headers(&exchange);  // an empty body
  } catch (...) {
    exchange.thrown = std::current_exception();
  }
  HandlePool::get().give(handle);
  if (exchange.thrown) {
    try {
      std::rethrow_exception(exchange.thrown);
    } catch (const BrokenAnswer& e) {
      result.failure = HttpFailure::kBroken;
      result.error = e.problem;
      return result;
    }
  }
  result.failure = classify(code);
  if (code != CURLE_OK) result.error = error_text[0] ? error_text : curl_easy_strerror(code);
  if (exchange.stalled) {
    result.failure = HttpFailure::kBroken;
    result.error = fmt::format("no byte moved for {} s", config.timeout);
  }
  if (exchange.too_large) result.error = fmt::format("the answer has more than {} MiB", kLargestAnswer >> 20);
  if (result.failure == HttpFailure::kNone && !answered) {
    result.failure = HttpFailure::kBroken;
    result.error = "the connection was closed within the head of the answer";
  }
  // A server that refuses an upload may close before it has read all: what it said counts.
  if (result.failure == HttpFailure::kBroken && answered && result.response.status >= 300 && request.body)
    result.failure = HttpFailure::kNone;
  return result;
}

}  // namespace mox::file
