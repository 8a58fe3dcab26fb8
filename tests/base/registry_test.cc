// The tables of what is chosen by name.
#include "base/registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "moxing/error.h"
#include "moxing/file_system.h"

namespace mox {
namespace {

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidArgumentError& e) {
    return e.what();
  }
  return "";
}

TEST(Registry, KeepsTheOrderOfRegistrationAndThePlaces) {
  Registry<int> numbers("number");
  numbers.add("two", 2);
  const int* two = numbers.find("two");
  for (int i = 0; i < 100; ++i) numbers.add("n" + std::to_string(i), i);
  numbers.add("one", 1);
  EXPECT_EQ(numbers.find("two"), two);
  EXPECT_EQ(*two, 2);
  EXPECT_EQ(numbers.find("three"), nullptr);
  EXPECT_EQ(numbers.names().front(), "two");
  EXPECT_EQ(numbers.names().back(), "one");
}

TEST(Registry, ASecondOneOfANameIsRefusedAndBothAreNamed) {
  Registry<int> numbers("number");
  numbers.add("one", 1, kBuiltIn);
  EXPECT_EQ(refusal([&] { numbers.add("one", 2); }),
            "this program registers a number 'one', but there is one of MoXing already; give the new one another name");
  {
    const RegisteringParty party("the plugin /a/b.so");
    numbers.add("two", 2);
  }
  EXPECT_EQ(
      refusal([&] { numbers.add("two", 2); }),
      "this program registers a number 'two', but there is one of the plugin /a/b.so already; give the new one another "
      "name");
  EXPECT_EQ(*numbers.find("one"), 1);
}

TEST(Registry, NamesCanBeTypedAndNameScopes) {
  Registry<int> numbers("number");
  for (const char* name : {"", "_a", "a b", "a/b", "ä", "a\n"})
    EXPECT_NE(refusal([&] { numbers.add(name, 1); }).find("a name begins with a letter or digit"), std::string::npos);
  for (const char* name : {"a", "7b", "A-b_c.d+e"}) EXPECT_EQ(refusal([&] { numbers.add(name, 1); }), "");
}

TEST(Registry, FromManyThreadsEachNameIsGivenOnce) {
  Registry<int> numbers("number");
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        refused += !refusal([&] { numbers.add("n" + std::to_string(i), t); }).empty();
        EXPECT_NE(numbers.find("n" + std::to_string(i)), nullptr);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 7 * 200);
  EXPECT_EQ(numbers.names().size(), 200u);
}

TEST(FileSystems, WhatIsNoSchemeOrIsTakenIsRefused) {
  class Nothing : public file::FileSystem {
    std::optional<file::Stat> stat(const file::Location&) override { return std::nullopt; }
    bool list(const file::Location&, bool, const file::EntryVisitor&) override { return false; }
    std::unique_ptr<file::Stream> open(const file::Location&, const file::OpenMode&) override { return nullptr; }
    void make_folder(const file::Location&, bool) override {}
    void remove_file(const file::Location&) override {}
    void remove_folder(const file::Location&) override {}
  };
  const auto add = [](const std::string& scheme) {
    return refusal([&] { file::register_file_system(scheme, std::make_unique<Nothing>()); });
  };
  EXPECT_NE(add("s3").find("there is one of MoXing already"), std::string::npos);
  EXPECT_NE(add("file").find("there is one of MoXing already"), std::string::npos);
  EXPECT_NE(add("Upper").find("a scheme has lower-case letters"), std::string::npos);
  EXPECT_NE(add("").find("a scheme has lower-case letters"), std::string::npos);
  EXPECT_NE(refusal([] { file::register_file_system("null", nullptr); }).find("is null"), std::string::npos);
  EXPECT_FALSE(file::is_remote("nothing://a"));
  static std::vector<std::string> seen;  // the watcher stays
  file::watch_file_systems([](const std::string& scheme) { seen.push_back(scheme); });
  EXPECT_EQ(seen, (std::vector<std::string>{"s3", "obs"}));
  EXPECT_EQ(add("nothing"), "");
  EXPECT_EQ(seen.back(), "nothing");
  EXPECT_TRUE(file::is_remote("nothing://a"));
  EXPECT_FALSE(file::exists("nothing://a/b"));
  EXPECT_NE(refusal([] { file::exists("other://a"); }).find("known are s3, obs, nothing, file"), std::string::npos);
}

}  // namespace
}  // namespace mox
