#include "file/checksum.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "file/sigv4.h"

namespace mox::file {
namespace {

// OpenSSL frees nothing at exit: background threads may still sign and transfer then.
[[maybe_unused]] const int kKeptAtExit = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);

}  // namespace

std::string crc32c_base64(uint32_t crc) {
  const char bytes[4] = {static_cast<char>(crc >> 24), static_cast<char>(crc >> 16), static_cast<char>(crc >> 8),
                         static_cast<char>(crc)};
  return base64_encode({bytes, 4});
}

std::string base64_encode(std::string_view data) {
  std::string result(4 * ((data.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(result.data()),
                                   reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(data.size()));
  result.resize(static_cast<size_t>(size));
  return result;
}

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Digest::Digest(Kind kind) : state_(std::make_unique<State>()) {
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // EVP_sha256() is looked up each time
  EVP_DigestInit_ex(state_->context, kind == Kind::kSha256 ? sha256 : EVP_md5(), nullptr);
}

Digest::~Digest() = default;

void Digest::update(const char* data, size_t size) { EVP_DigestUpdate(state_->context, data, size); }

std::string Digest::raw() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context, bytes, &size);
  return std::string(reinterpret_cast<char*>(bytes), size);
}

std::string Digest::hex() {
  const std::string bytes = raw();
  return hex_encode(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

}  // namespace mox::file
