// Flags and values of the original that have no effect.
#include <gtest/gtest.h>

#include "moxing/error.h"
#include "moxing/flags.h"
#include "moxing/log.h"

namespace mox {
namespace {

class OldFlags : public ::testing::Test {
 protected:
  OldFlags() {
    set_log_sink([this](LogLevel, std::string_view line) { lines_.emplace_back(line); });
  }
  ~OldFlags() override {
    set_log_sink(nullptr);
    reset_flags();
  }
  std::vector<std::string> lines_;
};

TEST_F(OldFlags, OfACommandLineAreToldInOneLine) {
  EXPECT_EQ(
      parse_flags({"--var_dtype", "fp32", "--nosync_before_server", "--dgc_anything=1", "--session_timeout=0", "x"}),
      std::vector<std::string>{"x"});
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0],
            "without effect in this version: --var_dtype, --sync_before_server, --dgc_anything, --session_timeout=0");
  EXPECT_EQ(get_flag<std::string>("var_dtype"), "fp32");
  EXPECT_FALSE(get_flag<bool>("sync_before_server"));
  EXPECT_TRUE(is_flag_set("dgc_anything"));
  EXPECT_FALSE(is_flag_set("session_timeout"));
}

TEST_F(OldFlags, CompressedUpdatesAreTheHostsAffair) {
  for (const char* value : {"distributed_replicated_dgc", "distributed_replicated_mix"}) {
    set_flag("variable_update", "replicated");
    lines_.clear();
    set_flag("variable_update", value);
    EXPECT_EQ(get_flag<std::string>("variable_update"), "auto");
    ASSERT_EQ(lines_.size(), 1U);
    EXPECT_NE(lines_[0].find(value), std::string::npos);
  }
}

TEST_F(OldFlags, WithoutAValueAreNotRefused) {
  EXPECT_TRUE(parse_flags({"--min_size_in_kb"}).empty());
  EXPECT_EQ(get_flag<std::string>("min_size_in_kb"), "");
}

TEST_F(OldFlags, ValuesThatNoOneTookStayErrors) {
  EXPECT_THROW(set_flag("server_protocol", "http"), InvalidArgumentError);
  EXPECT_THROW(set_flag("session_timeout", -1), InvalidArgumentError);
  EXPECT_THROW(set_flag("running_log_level", "loud"), InvalidArgumentError);
  EXPECT_THROW(set_flag("variable_update", "distributed_replicated_xyz"), InvalidArgumentError);
  EXPECT_TRUE(lines_.empty());
}

}  // namespace
}  // namespace mox
