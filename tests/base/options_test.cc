// The tables of options: every line tells what is needed, and its default fits.
#include "base/options.h"

#include <gtest/gtest.h>

#include <set>

#include "moxing/error.h"

namespace mox {
namespace {

using Kind = OptionValues::Kind;

void expect_whole(const OptionInfo& option) {
  EXPECT_FALSE(std::string(option.help).empty()) << option.name;
  EXPECT_FALSE(std::string(option.since).empty()) << option.name;
  EXPECT_FALSE(option.expected().empty()) << option.name;
  const bool has_default = option.values.kind != Kind::kFunction && option.values.kind != Kind::kObject;
  EXPECT_TRUE(option.default_value || !has_default || option.values.may_be_unset) << option.name;
  if (!option.default_value) return;
  EXPECT_NO_THROW(std::visit([&](const auto& value) { check_field(option, value); }, *option.default_value))
      << option.name;
}

TEST(OptionTables, EveryLineIsWhole) {
  std::set<std::string> names;
  for (const OptionInfo& option : run_options()) {
    expect_whole(option);
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
  }
  EXPECT_GE(names.size(), 26u);
  for (const OptionInfo& option : dataset_options()) expect_whole(option);
  EXPECT_GE(dataset_options().size(), 27u);
}

TEST(OptionTables, NotGivenIsAValueInCppAlone) {
  const OptionInfo& batch_size = run_option("batch_size");
  EXPECT_EQ(batch_size.least(), 0);
  EXPECT_EQ(batch_size.least_given(), 1);
  EXPECT_EQ(batch_size.expected(), "an integer from 0 to 1048576; 0 means that the first input's shape tells it");
  EXPECT_EQ(batch_size.expected(batch_size.least_given()), "an integer from 1 to 1048576");
  const OptionInfo& secs = run_option("save_model_secs");
  EXPECT_EQ(secs.least(), -1);
  EXPECT_EQ(secs.least_given(), 0);
  EXPECT_EQ(run_option("trace_step").least_given(), 0);
  EXPECT_EQ(run_option("log_every_n_steps").least_given(), 0);
}

TEST(OptionTables, WordsAreCheckedToo) {
  EXPECT_NO_THROW(check_option(run_option("keep_best_mode"), std::string("max")));
  EXPECT_NO_THROW(check_option(run_option("export_model"), std::string()));
  try {
    check_option(run_option("keep_best_mode"), std::string("maximum"));
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_STREQ(e.what(), "keep_best_mode is 'maximum', expected auto, max or min");
  }
}

}  // namespace
}  // namespace mox
