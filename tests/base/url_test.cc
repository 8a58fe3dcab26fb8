// What is a store's, and what a path on this machine: one rule for all that ask.
#include "base/url.h"

#include <gtest/gtest.h>

#include "base/host.h"
#include "base/text.h"

namespace mox {
namespace {

TEST(Url, SchemeAndRest) {
  EXPECT_EQ(split_url("s3://b/k://x").scheme, "s3");
  EXPECT_EQ(split_url("s3://b/k://x").rest, "b/k://x");
  EXPECT_EQ(split_url("HTTP://h").scheme, "HTTP");
  for (const char* text : {"", "/a/b", "://h", "a:/b"}) {
    EXPECT_EQ(split_url(text).scheme, "") << text;
    EXPECT_EQ(split_url(text).rest, text);
  }
}

TEST(Url, ALocalPathMayHaveColonAndSlashes) {
  for (const char* path : {"s3://b", "obs://b/k", "file:///x", "gs://b", "a+b-1://x"})
    EXPECT_TRUE(has_scheme(path)) << path;
  for (const char* path : {"", "/a", "a/b://c", "/tmp/s3://b", "./s3://b", "://b", "S3://b", "a b://c"})
    EXPECT_FALSE(has_scheme(path)) << path;
}

TEST(Url, OneSpelling) {
  EXPECT_EQ(as_s3("obs://b/k"), "s3://b/k");
  EXPECT_EQ(as_s3("s3://b/k"), "s3://b/k");
  EXPECT_EQ(as_s3("/obs://b"), "/obs://b");
  EXPECT_EQ(http_url("h:1", true), "https://h:1");
  EXPECT_EQ(http_url("h:1", false), "http://h:1");
}

TEST(Host, NameAndPort) {
  for (const char* text : {"a:1", "a.b-c:65535", "[::1]:22"}) EXPECT_TRUE(is_host_and_port(text)) << text;
  for (const char* text : {"", "a", ":1", "a:", "a:0", "a:65536", "a:1x", "a b:1", "a,b:1", "http://a:1"})
    EXPECT_FALSE(is_host_and_port(text)) << text;
  EXPECT_FALSE(host_name().empty());
}

TEST(Text, TrimmedAndSmall) {
  EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
  EXPECT_EQ(trimmed(" \t "), "");
  EXPECT_EQ(lower_case("JPeG-\xc3\x84"), "jpeg-\xc3\x84");
}

}  // namespace
}  // namespace mox
