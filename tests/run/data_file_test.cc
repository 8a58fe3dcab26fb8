// Files of checkpoints: what was appended is what they hold, whatever the way; what fails is told.
#include "run/data_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <random>

#include "moxing/error.h"
#include "toy_model.h"

namespace mox {
namespace {

using testing::TempDir;

std::string random_bytes(size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t number = random();
    bytes.replace(i, 8, reinterpret_cast<const char*>(&number), 8);
  }
  return bytes;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Ways : public ::testing::TestWithParam<DataFile::Way> {};

TEST_P(Ways, HoldWhatWasAppended) {
  TempDir dir;
  constexpr size_t kBuffer = 8 << 20;
  // Small ones; whole blocks; ends inside a block, also a buffer's; more than both buffers.
  for (const size_t size : {size_t{0}, size_t{77}, kBuffer, 2 * kBuffer + 4096, kBuffer + 4097, 11 * kBuffer - 1}) {
    const std::string bytes = random_bytes(size);
    DataFile file(dir.path("file"), size, GetParam());
    for (size_t at = 0, part = 1; at < size; at += part, part = part * 3 + 1) {
      part = std::min(part, size - at);
      file.append(bytes.data() + at, part);
    }
    file.finish();
    EXPECT_TRUE(bytes_of(dir.path("file")) == bytes) << size;
  }
}

TEST_P(Ways, AFileThatCannotBeMadeIsTold) {
  TempDir dir;
  try {
    DataFile file(dir.path("none/file"), 8 << 20, GetParam());
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(dir.path("none/file")), std::string::npos) << e.what();
  }
}

TEST_P(Ways, AFileThatCannotGrowIsToldByTheLastCall) {
  TempDir dir;
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 5 << 20;
  std::signal(SIGXFSZ, SIG_IGN);
  const std::string bytes = random_bytes(9 << 20);
  DataFile file(dir.path("file"), 2 << 20, GetParam());  // more comes than was said
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(
      {
        file.append(bytes.data(), bytes.size());
        file.finish();
      },
      Error);
  EXPECT_THROW(DataFile(dir.path("other"), bytes.size(), GetParam()), Error);  // there is no room for it
  setrlimit(RLIMIT_FSIZE, &before);
}

TEST_P(Ways, WhatIsNotFinishedIsLetGoOf) {
  TempDir dir;
  const std::string bytes = random_bytes(9 << 20);
  DataFile file(dir.path("file"), bytes.size(), GetParam());
  file.append(bytes.data(), bytes.size());
}

INSTANTIATE_TEST_SUITE_P(All, Ways, ::testing::Values(DataFile::Way::kBest, DataFile::Way::kPageCache));

}  // namespace
}  // namespace mox
