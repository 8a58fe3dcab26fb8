#include "file/checksum.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "moxing/error.h"

namespace mox::file {
namespace {

// OpenSSL frees nothing at exit: background threads may still sign and transfer then.
[[maybe_unused]] const int kKeptAtExit = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);

// Fetched once: EVP_sha256() is looked up each time that it is used, which takes longer than a hash of a few hundred
// bytes.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return method;
}

void check(bool done, const char* what) {
  if (!done)
    throw Error(std::string("OpenSSL computes no ") + what + ": is this a build of it without the default provider?");
}

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

std::string hex_encode(std::string_view data) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string result(data.size() * 2, '0');
  for (size_t i = 0; i < data.size(); ++i) {
    const auto byte = static_cast<unsigned char>(data[i]);
    result[2 * i] = kHex[byte >> 4];
    result[2 * i + 1] = kHex[byte & 15];
  }
  return result;
}

std::string hex_sha256(std::string_view data) {
  Digest digest(Digest::Kind::kSha256);
  digest.update(data.data(), data.size());
  return digest.hex();
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  std::string result(32, '\0');
  check(HMAC(sha256_method(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(data.data()), data.size(),
             reinterpret_cast<unsigned char*>(result.data()), nullptr) != nullptr,
        "HMAC of SHA-256");
  return result;
}

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Digest::Digest(Kind kind) : state_(std::make_unique<State>()) {
  check(EVP_DigestInit_ex(state_->context, kind == Kind::kSha256 ? sha256_method() : EVP_md5(), nullptr) == 1,
        kind == Kind::kSha256 ? "SHA-256" : "MD5");
}

Digest::~Digest() = default;

void Digest::update(const char* data, size_t size) { EVP_DigestUpdate(state_->context, data, size); }

std::string Digest::raw() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context, bytes, &size);
  return std::string(reinterpret_cast<char*>(bytes), size);
}

std::string Digest::hex() { return hex_encode(raw()); }

}  // namespace mox::file
