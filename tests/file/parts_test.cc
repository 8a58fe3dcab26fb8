// Signatures, checksums, XML, paths and patterns against published values.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <thread>
#include <tuple>
#include <vector>

#include "file/checksum.h"
#include "file/endpoint.h"
#include "file/glob.h"
#include "file/host_family.h"
#include "file/path.h"
#include "file/s3_xml.h"
#include "file/sigv4.h"
#include "file/stream.h"
#include "moxing/error.h"
#include "moxing/file.h"

using namespace mox::file;

namespace {

std::string signature_of(const SignInput& input, const Credentials& credentials) {
  const std::string value = authorization(input, credentials);
  return value.substr(value.rfind('=') + 1);
}

// The examples in "Signature Calculations for the Authorization Header" of the S3 API reference.
const Credentials kDocs = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", "us-east-1"};

SignInput docs_input(const std::string& method, const std::string& path, const std::string& hash) {
  SignInput input;
  input.method = method;
  input.host = "examplebucket.s3.amazonaws.com";
  input.path = path;
  input.payload_hash = hash;
  input.amz_date = "20130524T000000Z";
  input.headers = {{"x-amz-date", input.amz_date}, {"x-amz-content-sha256", hash}};
  return input;
}

TEST(SigV4, GetWithRange) {
  SignInput input = docs_input("GET", "/test.txt", kEmptyPayload);
  input.headers.emplace_back("range", "bytes=0-9");
  EXPECT_EQ(signature_of(input, kDocs), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, PutWithKeyThatNeedsEncoding) {
  const std::string hash = hex_sha256("Welcome to Amazon S3.");
  EXPECT_EQ(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  SignInput input = docs_input("PUT", "/test$file.text", hash);
  input.headers.emplace_back("date", "Fri, 24 May 2013 00:00:00 GMT");
  input.headers.emplace_back("x-amz-storage-class", "REDUCED_REDUNDANCY");
  EXPECT_EQ(signature_of(input, kDocs), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

// A range that nobody waits for is still fetched while a program that failed ends.
TEST(SigV4, SignsWhileTheProcessEnds) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // a process of its own, in which nothing was signed before
  const auto sign = [] { return signature_of(docs_input("GET", "/", kEmptyPayload), kDocs); };
  EXPECT_EXIT(
      {
        static auto& first = *new std::string;
        std::atexit([] {
          std::string again;
          std::thread([&] { again = signature_of(docs_input("GET", "/", kEmptyPayload), kDocs); }).join();
          std::vector<std::string> others;  // takes memory that was freed: that it was written to shows
          for (int i = 0; i < 4096; ++i) others.emplace_back(static_cast<size_t>(16 + i % 256), 'x');
          std::_Exit(again.size() == 64 && again == first ? 7 : 8);
        });
        first = sign();
        std::exit(0);
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(SigV4, QueryWithoutValue) {
  SignInput input = docs_input("GET", "/", kEmptyPayload);
  input.query = {{"lifecycle", ""}};
  EXPECT_EQ(signature_of(input, kDocs), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SigV4, QueryIsSorted) {
  SignInput input = docs_input("GET", "/", kEmptyPayload);
  input.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(signature_of(input, kDocs), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

// aws-sig-v4-test-suite: get-vanilla and get-vanilla-query-order-key-case.
TEST(SigV4, TestSuite) {
  const Credentials credentials = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", "us-east-1"};
  SignInput input;
  input.method = "GET";
  input.host = "example.amazonaws.com";
  input.path = "/";
  input.payload_hash = kEmptyPayload;
  input.amz_date = "20150830T123600Z";
  input.service = "service";
  input.headers = {{"x-amz-date", input.amz_date}};
  EXPECT_EQ(signature_of(input, credentials), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  input.query = {{"Param2", "value2"}, {"Param1", "value1"}};
  EXPECT_EQ(signature_of(input, credentials), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST(SigV4, EncodingAndSpaces) {
  EXPECT_EQ(percent_encode("a b+c/d~e(f)!*'é", true), "a%20b%2Bc/d~e%28f%29%21%2A%27%C3%A9");
  EXPECT_EQ(percent_encode("a/b", false), "a%2Fb");
  EXPECT_EQ(encode_query({{"b", "1 2"}, {"a", ""}, {"a-b", "x"}}), "a=&a-b=x&b=1%202");
  SignInput input = docs_input("GET", "/", kEmptyPayload);
  input.headers.emplace_back("x-amz-meta-note", "  two   words ");
  EXPECT_NE(canonical_request(input, nullptr).find("x-amz-meta-note:two words\n"), std::string::npos);
}

TEST(Checksum, Crc32cAsText) { EXPECT_EQ(crc32c_base64(0xE3069283u), "4waSgw=="); }

TEST(Xml, ListingWithEncodedKeys) {
  const S3Page page = parse_list(
      "<?xml version=\"1.0\"?><ListBucketResult "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType>"
      "<IsTruncated>true</IsTruncated><NextContinuationToken>a+b%</NextContinuationToken>"
      "<Contents><Key>a%2Bb+c%0A</Key><Size>12</Size><ETag>&quot;abc&quot;</"
      "ETag><LastModified>2013-05-24T00:00:00.250Z</LastModified></Contents>"
      "<CommonPrefixes><Prefix>d%2F/</Prefix></CommonPrefixes></ListBucketResult>");
  ASSERT_EQ(page.objects.size(), 1u);
  EXPECT_EQ(page.objects[0].key, "a+b c\n");
  EXPECT_EQ(page.objects[0].size, 12);
  EXPECT_EQ(page.objects[0].etag, "abc");
  EXPECT_EQ(page.objects[0].mtime_nsec, 1369353600250000000);
  EXPECT_EQ(page.prefixes, std::vector<std::string>{"d//"});
  EXPECT_TRUE(page.truncated);
  EXPECT_EQ(page.next, "a+b%") << "a token is not a key: it goes back as it came";
}

TEST(Xml, ListingsOfVersion1GoOnAfterTheLastName) {
  const S3Page page = parse_list(
      "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a+b</Key></Contents></ListBucketResult>");
  EXPECT_EQ(page.next, "a+b");
}

TEST(Xml, WhatIsNoListingIsAnError) {
  EXPECT_THROW(parse_list("<html>login</html>"), mox::DataError);
  EXPECT_THROW(parse_list(""), mox::DataError);
  EXPECT_THROW(parse_list("<ListBucketResult><Contents>"), mox::DataError);
  EXPECT_THROW(parse_list("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"), mox::DataError);
}

TEST(Xml, Times) {
  EXPECT_EQ(parse_time_nsec("Fri, 24 May 2013 00:00:00 GMT"), 1369353600000000000);
  EXPECT_EQ(parse_time_nsec("yesterday"), 0);
  EXPECT_EQ(parse_time_nsec("4026-05-24T00:00:00.000Z"), 0);  // found by tests/fuzz: more nanoseconds than 64 bits hold
}

TEST(Xml, KeysToRemoveAreEscaped) {
  EXPECT_EQ(delete_body({"a<&>b"}), "<Delete><Quiet>true</Quiet><Object><Key>a&lt;&amp;&gt;b</Key></Object></Delete>");
}

TEST(Xml, KeysThatXmlCannotSay) {
  for (const std::string key : {"a\r", "a\nb", "a\tb", "a\x01", "\x7f", " a", "a ", "", "\xff", "\xEF\xBF\xBE"})
    EXPECT_FALSE(xml_carries(key)) << testing::PrintToString(key);
  for (const std::string key : {"a", "a b", "<&>\"'", "\xC3\xA9", "a/b//c", "\xF0\x9F\x98\x80"})
    EXPECT_TRUE(xml_carries(key)) << key;
  EXPECT_EQ(delete_body({"a\r\n"}), "<Delete><Quiet>true</Quiet><Object><Key>a&#13;&#10;</Key></Object></Delete>");
}

TEST(Xml, AnswersThatMustSayWhatWasDone) {
  EXPECT_EQ(answer_problem("<CopyObjectResult><ETag>x</ETag></CopyObjectResult>", "CopyObjectResult"), "");
  EXPECT_EQ(answer_problem("  \n<?xml version='1.0'?>\n\n<a:CopyObjectResult xmlns:a='b'/>", "CopyObjectResult"), "");
  for (const std::string xml :
       {"", " \n ", "<html><body>log in</body></html>", "garbage", "<CopyObjectResult>", "<Error/>"})
    EXPECT_NE(answer_problem(xml, "CopyObjectResult"), "") << xml;
  EXPECT_EQ(answer_problem("<?xml version='1.0'?> <Error><Code>SlowDown</Code><Message>m</Message></Error>",
                           "CopyObjectResult"),
            "the answer says SlowDown: m");
}

TEST(Xml, WhereABucketIs) {
  EXPECT_EQ(parse_location("<LocationConstraint xmlns='x'>eu-west-9</LocationConstraint>"), "eu-west-9");
  EXPECT_EQ(parse_location("<LocationConstraint/>"), "us-east-1");
  EXPECT_EQ(parse_location("<CreateBucketConfiguration><Location>cn-north-4</Location></CreateBucketConfiguration>"),
            "cn-north-4");
  EXPECT_THROW(parse_location("<html/>"), mox::DataError);
}

TEST(Xml, TextInPieces) {
  const S3Page page = parse_list(
      "<s:ListBucketResult xmlns:s='x'><s:Contents><s:Key>a<![CDATA[<b]]><!-- c -->d</s:Key><s:Size>3</s:Size>"
      "</s:Contents><s:Contents><s:Key>x&#13;y\r</s:Key><s:Size>many</s:Size></s:Contents></s:ListBucketResult>");
  ASSERT_EQ(page.objects.size(), 2u);
  EXPECT_EQ(page.objects[0].key, "a<bd");
  EXPECT_EQ(page.objects[0].size, 3);
  EXPECT_EQ(page.objects[1].key, "x\ry\r");
  EXPECT_FALSE(page.objects[1].size_known);
}

// Keys go to another host only where it is surely the same store.
TEST(Hosts, Families) {
  const auto same = [](const char* a, const char* b) { return same_host_family(a, b); };
  EXPECT_TRUE(same("127.0.0.1:9000", "127.0.0.1:9000"));
  EXPECT_TRUE(same("s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"));
  EXPECT_TRUE(same("s3.amazonaws.com", "s3-eu-west-1.amazonaws.com"));
  EXPECT_TRUE(same("s3.us-east-1.amazonaws.com", "s3.dualstack.us-gov-west-1.amazonaws.com"));
  EXPECT_TRUE(same("obs.cn-north-1.myhuaweicloud.com", "obs.cn-north-4.myhuaweicloud.com"));
  EXPECT_TRUE(same("store.example.com", "eu.store.example.com"));
  EXPECT_TRUE(same("a.store.example.com", "b.store.example.com"));
  for (const char* other : {"127.0.0.1:9001", "127.0.0.1", "127.0.0.2:9000", "localhost:9000", ""})
    EXPECT_FALSE(same("127.0.0.1:9000", other)) << other;
  for (const char* other : {"evil.amazonaws.com", "s3-evil.elb.amazonaws.com", "s3.evil.us-east-1.elb.amazonaws.com",
                            "ec2-1-2-3-4.compute.amazonaws.com", "s3.eu-west-1.amazonaws.com.evil.com",
                            "evil-amazonaws.com", "s3.eu-west-1.amazonaws.com:8080"})
    EXPECT_FALSE(same("s3.us-east-1.amazonaws.com", other)) << other;
  EXPECT_FALSE(same("store.co.uk", "evil.co.uk"));
  EXPECT_FALSE(same("s3.store.co.uk", "s3.evil.co.uk"));
  EXPECT_FALSE(same("store.example.com", "xstore.example.com.evil.com"));
  EXPECT_FALSE(same("store.example.com", "store.example.comx"));
}

TEST(Endpoint, AsPeopleWriteThem) {
  EXPECT_EQ(parse_endpoint("x", " HTTP://Store.Example:09000// \r\n").host, "store.example:9000");
  EXPECT_EQ(parse_endpoint("x", "HTTPS://[::1]:90").host, "[::1]:90");
  EXPECT_EQ(parse_endpoint("x", "https://h").is_secure, true);
  EXPECT_EQ(parse_endpoint("x", "h:80").is_secure, std::nullopt);
  EXPECT_EQ(parse_endpoint("x", "  ").host, "");
  for (const char* bad :
       {"http://h/path", "http://h?x", "ftp://h", "http://", "http://h:0", "http://h:99999", "http://h:", "http://h:x",
        "http://u:secret@h", "h b", "http://h\nx: y", "http://:80", "u:secret@h/p"}) {
    try {
      parse_endpoint("the argument server", bad);
      ADD_FAILURE() << bad;
    } catch (const mox::InvalidArgumentError& e) {
      EXPECT_NE(std::string(e.what()).find("the argument server"), std::string::npos) << e.what();
      EXPECT_EQ(std::string(e.what()).find("secret"), std::string::npos) << e.what();
    }
  }
  EXPECT_EQ(trimmed_word("x", "\t key \r\n"), "key");
  EXPECT_THROW(trimmed_word("x", "key\r\nx-evil: 1"), mox::InvalidArgumentError);
}

TEST(Path, Parts) {
  const Location object = parse_path("obs://bucket/a//b c/");
  EXPECT_EQ(object.bucket, "bucket");
  EXPECT_EQ(object.key, "a//b c/");
  EXPECT_EQ(object.str(), "obs://bucket/a//b c/");
  EXPECT_TRUE(object.names_folder());
  EXPECT_EQ(base_name(object), "b c");
  EXPECT_EQ(parent_of(object).key, "a/");
  EXPECT_TRUE(parse_path("s3://bucket").is_bucket());
  EXPECT_TRUE(parse_path("s3://bucket/").is_bucket());
  EXPECT_EQ(parse_path("file:///tmp/x").path, "/tmp/x");
  EXPECT_EQ(parse_path("./s3:/x").path, "./s3:/x");
  EXPECT_EQ(parent_of(parse_path("/a")).path, "/");
  EXPECT_EQ(parent_of(parse_path("a")).path, ".");
}

TEST(Path, WrongOnesSaySo) {
  for (const std::string url : {"", "s3://", "s3:///key", "s3://bu cket/k", "s3://../k", "gs://bucket/key", "file://"})
    EXPECT_THROW(parse_path(url), mox::InvalidArgumentError) << url;
  EXPECT_THROW(parse_path(std::string("a\0b", 3)), mox::InvalidArgumentError);
  try {
    parse_path("gs://bucket/key");
  } catch (const mox::InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("s3, obs, file"), std::string::npos) << e.what();
  }
}

TEST(Path, NamesThatLeaveAFolderAreNotSafe) {
  for (const char* name : {"a", "a/b", "a/", "..a/b..", "a/...", " "}) EXPECT_TRUE(is_safe_relative(name)) << name;
  for (const char* name : {"", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", "./a", "a//b", "a/."})
    EXPECT_FALSE(is_safe_relative(name)) << name;
}

TEST(Glob, Components) {
  EXPECT_TRUE(match_component("*.jp*g", "a.jpeg"));
  EXPECT_TRUE(match_component("?", "文"));
  EXPECT_FALSE(match_component("?", "ab"));
  EXPECT_TRUE(match_component("[a-c]x", "bx"));
  EXPECT_TRUE(match_component("[]x]", "]"));
  EXPECT_TRUE(match_component("[!a]", "b"));
  EXPECT_TRUE(match_component("[x", "[x"));
  EXPECT_FALSE(match_component("*", ".hidden"));
  EXPECT_TRUE(match_path("**/c", "a/b/c"));
  EXPECT_TRUE(match_path("**/c", "c"));
  EXPECT_FALSE(match_path("**/c", "a/.b/c"));
  EXPECT_FALSE(match_path("*/c", "a/b/c"));
  EXPECT_TRUE(match_path("a/**/c", "a/c"));
  EXPECT_TRUE(match_path("a/**", "a/b/c"));
  EXPECT_FALSE(match_path("a/**", "a"));
  EXPECT_FALSE(match_path("a/**", "a/.b"));
  EXPECT_TRUE(match_path("**/.b/*", "a/.b/c"));
  EXPECT_TRUE(match_path("**/b/**/c", "b/x/b/y/c"));
  // A backtracking matcher would need longer than the universe has.
  EXPECT_FALSE(match_component("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
  std::string deep, pattern = "x";
  for (int i = 0; i < 200; ++i) deep += "a/", pattern = "**/a/" + pattern;
  EXPECT_FALSE(match_path(pattern, deep + "a"));
  EXPECT_TRUE(match_path(pattern, deep + "x"));
}

TEST(Mode, AllSpellings) {
  for (const char* mode : {"r", "w", "a", "r+", "w+", "a+", "rb", "br", "b+w", "ab+", "+br", "rt"})
    EXPECT_NO_THROW(parse_mode(mode)) << mode;
  for (const char* mode : {"", "b", "rw", "r++", "rbt", "x", "rr"})
    EXPECT_THROW(parse_mode(mode), mox::InvalidArgumentError) << mode;
}

TEST(SetAuth, NumbersOutsideOfTheirRangeAreTold) {
  const auto error = [](const AuthOptions& options) -> std::string {
    try {
      set_auth(options);
    } catch (const mox::InvalidArgumentError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(error({.port = 0}), "set_auth: port is 0, expected an integer from 1 to 65535");
  EXPECT_EQ(error({.retry = 0}), "set_auth: retry is 0, expected an integer from 1 to 1000");
  EXPECT_EQ(error({.retry_wait = -1}), "set_auth: retry_wait is -1, expected a number from 0 to 3600");
  EXPECT_EQ(error({.client_timeout = std::nan("")}),
            "set_auth: client_timeout is nan, expected a number from 0.001 to 86400");
  EXPECT_EQ(error({.list_max_keys = 1001}), "set_auth: list_max_keys is 1001, expected an integer from 1 to 1000");
}

TEST(Environment, NumbersOutsideOfTheirRangeAreTold) {
  for (const auto& [variable, value, expected] : std::vector<std::tuple<const char*, const char*, const char*>>{
           {"MOX_RETRY", "0", "an integer from 1 to 1000"},
           {"MOX_CLIENT_TIMEOUT", "-1", "a number from 0.001 to 86400"},
           {"MOX_RETRY_WAIT", "nan", "a number from 0 to 3600"},
           {"MOX_PORT", "99999999999999999999", "an integer from 1 to 65535"},
           {"MOX_LIST_MAX_KEYS", "many", "an integer from 1 to 1000"}}) {
    ::setenv(variable, value, 1);
    set_auth({});  // the environment is read again
    try {
      exists("s3://bucket/key");
      ADD_FAILURE() << variable;
    } catch (const mox::InvalidArgumentError& e) {
      EXPECT_EQ(e.what(), std::string("environment variable ") + variable + "='" + value + "': expected " + expected +
                              "; correct or unset it");
    }
    ::unsetenv(variable);
    set_auth({});
  }
}

}  // namespace
