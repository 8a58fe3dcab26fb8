// What breaks on the way: each transfer ends right, or with the named exception and nothing half-written.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include "file/servers.h"
#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/file_stream.h"
#include "moxing/log.h"

namespace fs = std::filesystem;
namespace file = mox::file;
using mox::test::server;

namespace {

std::string pattern_bytes(size_t size) {
  std::string data(size, '\0');
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<char>((i * 2654435761u) >> 13);
  return data;
}

// Counts requests that are made again while it lives.
class Retries {
 public:
  Retries() {
    mox::set_log_level(mox::LogLevel::kDebug);
    mox::set_log_sink([this](mox::LogLevel, std::string_view line) {
      if (line.find("trying again") != std::string_view::npos) ++count_;
    });
  }
  ~Retries() {
    mox::set_log_sink(nullptr);
    mox::set_log_level(mox::LogLevel::kInfo);
  }
  int count() const { return count_; }

 private:
  std::atomic<int> count_{0};
};

class Fault : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { proxy_ = new mox::test::FaultProxy(server("versitygw")); }
  static void TearDownTestSuite() { delete proxy_; }
  void SetUp() override {
    static int counter = 0;
    std::string pattern = ::testing::TempDir() + "mox_fault_XXXXXX";
    local_ = ::mkdtemp(pattern.data());
    ::setenv("MOX_STATE_DIR", (local_ + "/state").c_str(), 1);
    ::setenv("MOX_SILENT_MODE", "1", 1);
    ::setenv("MOX_FILE_LARGE_FILE_PART_SIZE", "5242880", 1);
    bucket_ = "faults-" + std::to_string(counter++);
    store_ = "s3://" + bucket_;
    mox::test::use_server(server("versitygw"));
    file::make_dirs(store_);
    file::set_auth({.server = proxy_->endpoint(), .retry = 6, .retry_wait = 0.02, .client_timeout = 2});
    file::write(store_ + "/small", small_);
    file::write(store_ + "/large", large_);
    file::make_dirs(local_ + "/src");
    file::write(local_ + "/src/small", small_);
    file::write(local_ + "/src/large", large_);
  }
  void TearDown() override {
    proxy_->fault("none", 0);
    fs::remove_all(local_);
  }
  // Parts of uploads that were neither completed nor aborted, as they lie on the server's disk.
  size_t parts_left() const {
    const fs::path folder = server("versitygw").data_folder() + "/" + bucket_ + "/.sgwtmp/multipart";
    size_t count = 0;
    if (fs::exists(folder))
      for (const auto& item : fs::recursive_directory_iterator(folder)) count += item.is_regular_file();
    return count;
  }
  static mox::test::FaultProxy* proxy_;
  std::string local_, bucket_, store_;
  const std::string small_ = pattern_bytes(100000), large_ = pattern_bytes(17 << 20);
};
mox::test::FaultProxy* Fault::proxy_ = nullptr;

class PassingFault : public Fault, public ::testing::WithParamInterface<const char*> {};

// Two broken requests in a row are no reason to give up.
TEST_P(PassingFault, CopiesEndRight) {
  const std::string kind = GetParam();
  const int few = kind == "stall" ? 1 : 2;  // a stall takes its time
  proxy_->fault(kind, few, "GET", "/small");
  file::copy(store_ + "/small", local_ + "/small");
  EXPECT_TRUE(file::read(local_ + "/small") == small_);
  proxy_->fault(kind, few, "GET", "/large");
  file::copy(store_ + "/large", local_ + "/large");
  EXPECT_TRUE(file::read(local_ + "/large") == large_);
  proxy_->fault(kind, few, "GET", "/large");
  EXPECT_TRUE(file::read(store_ + "/large") == large_);
  proxy_->fault(kind, 2, "PUT");
  file::copy(local_ + "/src/small", store_ + "/up-small");
  proxy_->fault(kind, 3, "PUT");
  file::copy(local_ + "/src/large", store_ + "/up-large");
  proxy_->fault(kind, 1, "POST");
  file::copy(local_ + "/src/large", store_ + "/up-large2");
  proxy_->fault("none", 0);
  EXPECT_TRUE(file::read(store_ + "/up-small") == small_);
  EXPECT_TRUE(file::read(store_ + "/up-large") == large_);
  EXPECT_TRUE(file::read(store_ + "/up-large2") == large_);
}

INSTANTIATE_TEST_SUITE_P(Kinds, PassingFault,
                         ::testing::Values("503", "429", "500", "reset-before", "reset-middle", "truncate", "stall",
                                           "longer", "reset-upload", "corrupt-upload"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class LastingFault : public Fault, public ::testing::WithParamInterface<const char*> {};

TEST_P(LastingFault, DownloadsThrowAndLeaveNothing) {
  file::set_auth({.retry = 2});
  for (const char* name : {"small", "large"}) {
    proxy_->fault(GetParam(), 1000, "GET");
    try {
      file::copy(store_ + "/" + name, local_ + "/" + name);
      ADD_FAILURE() << name << " arrived";
    } catch (const file::MoxFileReadException& e) {
      EXPECT_EQ(e.resp().status / 100, 2) << e.what();
      EXPECT_NE(std::string(e.what()).find(store_ + "/" + name), std::string::npos) << e.what();
    } catch (const file::MoxFileRespException& e) {
      EXPECT_TRUE(e.resp().status == 0 || e.resp().status == 503) << e.what();
    }
    EXPECT_FALSE(file::exists(local_ + "/" + name));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, LastingFault,
                         ::testing::Values("503", "reset-before", "reset-middle", "truncate", "stall", "shorter",
                                           "corrupt"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_F(Fault, UploadsThatFailLeaveNoParts) {
  file::set_auth({.retry = 2});
  proxy_->fault("503", 1000, "PUT", "partNumber=3");
  EXPECT_THROW(file::copy(local_ + "/src/large", store_ + "/up"), file::MoxFileRespException);
  proxy_->fault("none", 0);
  EXPECT_FALSE(file::exists(store_ + "/up"));
  EXPECT_EQ(parts_left(), 0u);
  proxy_->fault("reset-upload", 1000, "PUT", "partNumber=3");
  EXPECT_THROW(file::write(store_ + "/up", large_), file::MoxFileRespException);
  proxy_->fault("none", 0);
  EXPECT_FALSE(file::exists(store_ + "/up"));
  EXPECT_EQ(parts_left(), 0u);
}

TEST_F(Fault, TheLostAnswerOfACompletedUpload) {
  proxy_->fault("lost-answer", 1, "POST", "uploadId");
  file::copy(local_ + "/src/large", store_ + "/up");
  EXPECT_TRUE(file::read(store_ + "/up") == large_);
}

TEST_F(Fault, AnUploadThatTheStoreForgot) {
  proxy_->fault("forgotten", 2, "POST", "uploadId");
  file::copy(local_ + "/src/large", store_ + "/up");
  EXPECT_TRUE(file::read(store_ + "/up") == large_);
  proxy_->fault("forgotten", 2, "POST", "uploadId");
  file::write(store_ + "/written", large_);
  EXPECT_TRUE(file::read(store_ + "/written") == large_);
  EXPECT_EQ(parts_left(), 0u);
  // A stream's bytes are gone: the error says what to do.
  file::File stream(store_ + "/streamed", "wb");
  stream.write(large_);
  proxy_->fault("forgotten", 2, "POST", "uploadId");
  try {
    stream.close();
    FAIL() << "no error";
  } catch (const mox::DataError& e) {
    EXPECT_NE(std::string(e.what()).find("write it again"), std::string::npos) << e.what();
  }
}

TEST_F(Fault, TheServerRestartsInTheMiddle) {
  file::set_auth({.retry = 12, .retry_wait = 0.1});
  auto copies = std::async(std::launch::async, [&] {
    for (int i = 0; i < 10; ++i) file::copy(local_ + "/src/large", store_ + "/up" + std::to_string(i));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server("versitygw").stop();
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  server("versitygw").start();
  copies.get();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(file::read(store_ + "/up" + std::to_string(i)) == large_) << i;
}

TEST_F(Fault, AnObjectThatIsReplacedWhileItIsReadIsNotMixed) {
  proxy_->fault("slow", 1000, "GET", "/large", 0.2);
  std::thread replace([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    file::write(store_ + "/large", std::string(large_.size(), 'z'));
  });
  std::string seen;
  try {
    seen = file::read(store_ + "/large");
  } catch (const file::MoxFileReadException& e) {
    EXPECT_NE(std::string(e.what()).find("replaced"), std::string::npos) << e.what();
  }
  replace.join();
  if (!seen.empty()) EXPECT_TRUE(seen == large_ || seen == std::string(large_.size(), 'z'));
}

TEST_F(Fault, AWrongKeyIsToldAtOnce) {
  // MinIO opens its port before it answers: on a busy machine that takes an attempt or two.
  mox::test::use_server(server("minio"));
  file::exists("s3://any-missing/x");
  // Who is unknown altogether, versitygw answers with 404 and a code of its own: still no "does not exist".
  struct Case {
    std::string endpoint, ak, sk, code;
    int status;
  };
  for (const auto& [endpoint, ak, sk, code, status] :
       {Case{proxy_->endpoint(), mox::test::kAccessKey, "wrong-secret-wrong", "SignatureDoesNotMatch", 403},
        Case{server("minio").endpoint(), mox::test::kAccessKey, "wrong-secret-wrong", "SignatureDoesNotMatch", 403},
        Case{server("minio").endpoint(), "AKIDWRONG", "whatever-it-is", "InvalidAccessKeyId", 403},
        Case{proxy_->endpoint(), "AKIDWRONG", "whatever-it-is", "XAdminUserNotFound", 404}}) {
    file::set_auth({.ak = ak, .sk = sk, .server = endpoint, .retry = 10, .retry_wait = 1});
    const Retries retries;
    for (const auto& work : std::vector<std::function<void()>>{
             [&] { file::read(store_ + "/small"); }, [&] { file::stat(store_ + "/small"); },
             [&] { file::copy_parallel(local_ + "/src", store_ + "/x"); }, [&] { file::list_directory(store_); }}) {
      try {
        work();
        ADD_FAILURE();
      } catch (const file::MoxFileRespException& e) {
        EXPECT_EQ(e.resp().status, status) << e.what();
        EXPECT_EQ(e.resp().code, code) << e.what();
      }
    }
    EXPECT_EQ(retries.count(), 0);
  }
}

TEST_F(Fault, NoSecretIsEverShown) {
  std::string shown;
  mox::set_log_sink([&](mox::LogLevel, std::string_view line) { shown += line; });
  mox::set_log_level(mox::LogLevel::kDebug);
  file::set_auth({.ak = "AKSECRETACCESS", .sk = "sk-very-secret", .retry = 2, .token = "token-very-secret"});
  for (const auto& work : std::vector<std::function<void()>>{[&] { file::read(store_ + "/small"); },
                                                             [&] { file::write(store_ + "/x", "1"); }}) {
    try {
      proxy_->fault("503", 1, ".*", "");
      work();
    } catch (const mox::Error& e) {
      shown += e.what();
    }
  }
  mox::set_log_level(mox::LogLevel::kInfo);
  mox::set_log_sink(nullptr);
  file::set_auth({.token = ""});
  EXPECT_NE(shown.find("trying again"), std::string::npos);
  for (const char* secret : {"AKSECRETACCESS", "sk-very-secret", "token-very-secret", "Signature=", "Credential="})
    EXPECT_EQ(shown.find(secret), std::string::npos) << shown;
}

TEST_F(Fault, CertificatesAreVerified) {
  mox::test::Server& tls = server("versitygw", true);
  ::setenv("MOX_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt", 1);
  file::set_auth({.server = tls.endpoint(), .is_secure = true, .retry = 5, .retry_wait = 1});
  const Retries retries;
  try {
    file::list_directory("s3://any");
    FAIL() << "an unknown certificate was taken";
  } catch (const file::MoxFileRespException& e) {
    EXPECT_NE(std::string(e.what()).find("certificate"), std::string::npos) << e.what();
  }
  EXPECT_EQ(retries.count(), 0);
  file::set_auth({.ssl_verify = false});
  EXPECT_FALSE(file::exists("s3://any-missing/x"));
  ::unsetenv("MOX_CA_BUNDLE");
  file::set_auth({.is_secure = false, .ssl_verify = true});
}

TEST_F(Fault, AServerThatIsNotThereIsNamed) {
  file::set_auth({.server = "http://127.0.0.1:" + std::to_string(mox::test::free_port()), .retry = 2});
  try {
    file::read(store_ + "/small");
    FAIL();
  } catch (const file::MoxFileRespException& e) {
    EXPECT_EQ(e.resp().status, 0);
    EXPECT_NE(std::string(e.what()).find("127.0.0.1"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("set_auth"), std::string::npos) << e.what();
  }
}

}  // namespace
