#include "file/s3_checksums.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "file/checksum.h"
#include "file/s3_xml.h"

namespace mox::file::s3 {
namespace {

struct Refusals {
  Mutex mu;
  std::set<std::string> hosts MOX_GUARDED_BY(mu);
};

Refusals& refusals() {
  static auto* instance = new Refusals;
  return *instance;
}

}  // namespace

BodyHash hash_body(const BodySource& body) {
  Digest sha(Digest::Kind::kSha256);
  uint32_t crc = 0;
  std::vector<char> buffer(static_cast<size_t>(std::min<int64_t>(std::max<int64_t>(body.size, 1), 128 << 10)));
  for (int64_t done = 0; done < body.size;) {
    const int64_t got =
        body.read(done, buffer.data(), std::min<int64_t>(static_cast<int64_t>(buffer.size()), body.size - done));
    sha.update(buffer.data(), static_cast<size_t>(got));
    crc = crc32c(crc, buffer.data(), static_cast<size_t>(got));
    done += got;
  }
  return {sha.hex(), crc};
}

bool checksums_supported() {
  const auto config = current_config();
  if (config->is_obs) return false;
  MutexLock lock(refusals().mu);
  return refusals().hosts.count(config->host) == 0;
}

void note_checksums_unsupported() {
  const auto config = current_config();
  MutexLock lock(refusals().mu);
  refusals().hosts.insert(config->host);
}

bool refuses_checksums(const HttpResponse& response) {
  if (response.status != 400 && response.status != 501) return false;
  const std::string code = parse_error(response.body).code;
  return code == "NotImplemented" || code == "InvalidRequest" || code == "InvalidArgument";
}

HttpResponse call_with_checksum(S3Call& call, uint32_t crc) {
  if (!checksums_supported()) return s3_call(call);
  const Headers plain = call.headers;
  const std::vector<int> accepted = call.accept_statuses;
  call.headers.emplace_back("x-amz-checksum-crc32c", crc32c_base64(crc));
  call.accept_statuses.insert(call.accept_statuses.end(), {400, 501});
  HttpResponse response = s3_call(call);
  if (response.status < 300 || std::find(accepted.begin(), accepted.end(), response.status) != accepted.end())
    return response;
  if (!refuses_checksums(response)) throw_response(call, response, *current_config());
  call.headers = plain;
  call.accept_statuses = accepted;
  response = s3_call(call);
  note_checksums_unsupported();
  return response;
}

}  // namespace mox::file::s3
