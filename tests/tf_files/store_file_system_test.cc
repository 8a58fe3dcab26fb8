// TensorFlow's own file functions on s3:// in a C++ program that loads moxing: over http, and over https beside
// TensorFlow's copies of curl and OpenSSL. What Python users call is in python/tests/test_tensorflow_files.py.
#include <gtest/gtest.h>

#include "file/servers.h"
#include "moxing/file.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/platform/env.h"

namespace mox::test {
namespace {

namespace tf = tensorflow;

void expect_ok(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

class StoreFileSystemTest : public ::testing::TestWithParam<bool> {
 protected:
  StoreFileSystemTest() {
    use_server(server("versitygw", GetParam()), GetParam());
    file::make_dirs("s3://tensorflow");
  }
  tf::Env* env_ = tf::Env::Default();
};

TEST_P(StoreFileSystemTest, ReadsAndWrites) {
  const std::string path = "s3://tensorflow/folder/file";
  expect_ok(env_->RecursivelyCreateDir("s3://tensorflow/folder"));
  std::unique_ptr<tf::WritableFile> out;
  expect_ok(env_->NewWritableFile(path, &out));
  expect_ok(out->Append("seen "));
  expect_ok(out->Flush());
  std::string content;
  expect_ok(tf::ReadFileToString(env_, path, &content));
  EXPECT_EQ(content, "seen ");
  expect_ok(out->Append("whole"));
  expect_ok(out->Close());
  expect_ok(tf::ReadFileToString(env_, path, &content));
  EXPECT_EQ(content, "seen whole");
  std::unique_ptr<tf::ReadOnlyMemoryRegion> region;
  expect_ok(env_->NewReadOnlyMemoryRegionFromFile(path, &region));
  EXPECT_EQ(std::string(static_cast<const char*>(region->data()), region->length()), "seen whole");
  EXPECT_TRUE(absl::IsNotFound(env_->FileExists("s3://tensorflow/none")));
  EXPECT_TRUE(absl::IsFailedPrecondition(env_->IsDirectory(path)));
  EXPECT_TRUE(absl::IsFailedPrecondition(env_->DeleteDir("s3://tensorflow/folder")));
  expect_ok(env_->DeleteFile(path));
  EXPECT_TRUE(absl::IsNotFound(env_->DeleteFile(path)));
}

TEST_P(StoreFileSystemTest, SaveAndRestoreOps) {
  tf::Scope s = tf::Scope::NewRootScope();
  auto names = tf::ops::Const(s, {"v"}, {1}), slices = tf::ops::Const(s, {""}, {1});
  const std::string prefix = "s3://tensorflow/model.ckpt-1";
  tf::ops::SaveV2 save(s.WithOpName("save"), prefix, names, slices, {tf::Output(tf::ops::Const(s, {1.f, 2.f, 3.f}))});
  tf::ops::RestoreV2 restore(s.WithOpName("restore"), prefix, names, slices, {tf::DT_FLOAT});
  tf::GraphDef graph;
  expect_ok(s.ToGraphDef(&graph));
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  expect_ok(session->Create(graph));
  expect_ok(session->Run({}, {}, {"save"}, nullptr));
  std::vector<tf::Tensor> restored;
  expect_ok(session->Run({}, {"restore:0"}, {}, &restored));
  EXPECT_EQ(restored[0].flat<float>()(2), 3.f);
  EXPECT_EQ(file::list_directory("s3://tensorflow", {.skip_dir = true}),
            (std::vector<std::string>{"model.ckpt-1.data-00000-of-00001", "model.ckpt-1.index"}));
}

TEST_P(StoreFileSystemTest, ErrorsSayWhatTheStoreSaid) {
  file::set_auth({.sk = "wrong", .retry = 1});
  std::string content;
  const absl::Status denied = tf::ReadFileToString(env_, "s3://tensorflow/x", &content);
  EXPECT_TRUE(absl::IsPermissionDenied(denied)) << denied;
  EXPECT_NE(denied.message().find("403"), std::string::npos) << denied;
  EXPECT_EQ(denied.message().find("wrong"), std::string::npos) << denied;
}

INSTANTIATE_TEST_SUITE_P(Protocols, StoreFileSystemTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "https" : "http"; });

}  // namespace
}  // namespace mox::test
