#include "base/printable.h"

#include <gtest/gtest.h>

#include "base/json_text.h"
#include "base/limits.h"
#include "moxing/error.h"

namespace mox {
namespace {

TEST(PrintableTest, KeepsWhatPeopleRead) {
  EXPECT_EQ(printable("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(printable("日本語 naïve 🙂"), "日本語 naïve 🙂");
  EXPECT_EQ(printable_name("a\tb\nc"), "a\\tb\\nc");
}

TEST(PrintableTest, EscapesWhatATerminalObeysAndWhatIsNoText) {
  EXPECT_EQ(printable("\x1b[2Jx\x7f"), "\\x1b[2Jx\\x7f");
  EXPECT_EQ(printable("a\rb"), "a\\x0db");
  EXPECT_EQ(printable("\xff\xc3(\xe2\x82"), "\\xff\\xc3(\\xe2\\x82");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");           // C1: a control sequence's start
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(PrintableTest, PasswordsAreNeverShown) {
  EXPECT_EQ(printable("at http://user:secret@host:80/a: no answer"), "at http://user:***@host:80/a: no answer");
  EXPECT_EQ(printable("'https://u:p@ss/w@host' and ftp://a:b@c"), "'https://u:***@host' and ftp://a:***@c");
  EXPECT_EQ(printable("'http://u:it's\"<|>@h/a'"), "'http://u:***@h/a'");
  for (const char* harmless :
       {"http://host:8080/x@y:z", "['http://host:80','x@y']", "\"http://host/a\",\"b:c@d\"", "s3://bucket/a:b@c",
        "http://[::1]:80/", "http://user@host/", "a://", "no url: user:word@host"})
    EXPECT_EQ(printable(harmless), harmless);
  EXPECT_STREQ(DataError("http://u:secret@h").what(), "http://u:***@h");
}

TEST(PrintableTest, JsonHasNothingThatATerminalObeys) {
  EXPECT_EQ(json_text(nlohmann::json("\x1b\x7f\xc2\x9b\xe2\x80\xae\xe2\x81\xa6日本 ü€")),
            "\"\\u001b\\u007f\\u009b\\u202e\\u2066日本 ü€\"");
}

TEST(PrintableTest, ErrorsShowItAndAreNeverEmpty) {
  EXPECT_STREQ(DataError("no \x1b[31m\xff").what(), "no \\x1b[31m\\xff");
  EXPECT_STRNE(RunError("").what(), "");
}

TEST(LimitsTest, NamesValueAndRange) {
  EXPECT_NO_THROW(check_integer("batch_size", 1, 1, kMaxBatchSize));
  try {
    check_integer("batch_size", -3, 1, kMaxBatchSize, "say how many samples a step has");
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_STREQ(e.what(), "batch_size is -3, expected an integer from 1 to 1048576; say how many samples a step has");
  }
  EXPECT_THROW(check_number("retry_wait", std::numeric_limits<double>::quiet_NaN(), 0, 10), InvalidArgumentError);
  EXPECT_THROW(check_number("retry_wait", std::numeric_limits<double>::infinity(), 0, 10), InvalidArgumentError);
}

}  // namespace
}  // namespace mox
