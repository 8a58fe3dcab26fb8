// The text of `checkpoint` files: what TensorFlow writes, what people write, and anything else.
#include "run/checkpoint_text.h"

#include <gtest/gtest.h>

#include <chrono>

#include "moxing/error.h"

namespace mox {
namespace {

std::string error_in(const std::string& text) {
  try {
    parse_checkpoint_text(text);
  } catch (const DataError& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown for " << text.substr(0, 100);
  return "";
}

TEST(CheckpointText, AsTensorFlowWritesIt) {
  // Of MessageToString: what is not ASCII is escaped byte by byte.
  const CheckpointText state = parse_checkpoint_text(
      "model_checkpoint_path: \"/data/caf\\303\\251 \\\"1\\\"/model.ckpt-2\"\n"
      "all_model_checkpoint_paths: \"model.ckpt-1\"\n"
      "all_model_checkpoint_paths: \"/data/caf\\303\\251 \\\"1\\\"/model.ckpt-2\"\n"
      "all_model_checkpoint_timestamps: 1.5e9\n"
      "last_preserved_timestamp: 1541081384.25\n");
  EXPECT_EQ(state.latest, "/data/café \"1\"/model.ckpt-2");
  EXPECT_EQ(state.all, (std::vector<std::string>{"model.ckpt-1", state.latest}));
}

TEST(CheckpointText, AsThePersonsWriteItWhoGoBackToAnEarlierOne) {
  const CheckpointText state = parse_checkpoint_text(
      "# back to 10\nmodel_checkpoint_path:'model.ckpt-10'; all_model_checkpoint_paths : [ \"a\" 'b', \"\\x41\\u00e9\" "
      "]\n"
      "unknown { deep < x: \"}\" > y: 5 }, other: -1.5e3");
  EXPECT_EQ(state.latest, "model.ckpt-10");
  EXPECT_EQ(state.all, (std::vector<std::string>{"ab", "Aé"}));
}

TEST(CheckpointText, ComesBackAsItWas) {
  CheckpointText state{
      "model.ckpt-3", {"../odd \"\\\n\x7f[*?]/model.ckpt-1", "model.ckpt-3"}, "model.ckpt-4", {"model.ckpt-0"}};
  const CheckpointText back = parse_checkpoint_text(format_checkpoint_text(state));
  EXPECT_EQ(back.latest, state.latest);
  EXPECT_EQ(back.all, state.all);
  EXPECT_EQ(back.saving, state.saving);
  EXPECT_EQ(back.removing, state.removing);
}

TEST(CheckpointText, BrokenCommentsAreComments) {
  const CheckpointText state =
      parse_checkpoint_text("# moxing saving \"model.ckpt-4\n# moxing removing\nmodel_checkpoint_path: \"a\" # moxing");
  EXPECT_EQ(state.latest, "a");
  EXPECT_EQ(state.saving, "");
  EXPECT_TRUE(state.removing.empty());
}

TEST(CheckpointText, AnythingElseIsAnErrorWithItsLine) {
  EXPECT_NE(
      error_in("model_checkpoint_path: \"a\"\nall_model_checkpoint_paths: 7").find("line 2: expected a path in quotes"),
      std::string::npos);
  EXPECT_NE(error_in("{\"model\": 1}").find("expected the name of a field"), std::string::npos);
  EXPECT_NE(error_in("model_checkpoint_path: \"abc").find("the end of the text in quotes"), std::string::npos);
  EXPECT_NE(error_in("model_checkpoint_path: \"a\\000b\"").find("without zero bytes"), std::string::npos);
  EXPECT_NE(error_in("a {").find("the end of a block"), std::string::npos);
  EXPECT_NE(error_in(std::string(100, '\0')).find("expected the name of a field"), std::string::npos);
}

TEST(CheckpointText, MegabytesAreRead) {
  std::string many = "model_checkpoint_path: \"model.ckpt-1\"\n", comments;
  for (int i = 0; i < 200000; ++i) many += "all_model_checkpoint_paths: \"model.ckpt-" + std::to_string(i) + "\"\n";
  for (int i = 0; i < 500000; ++i) comments += "# moxing saving \"a\n";
  EXPECT_EQ(parse_checkpoint_text(many).all.size(), 200000u);
  EXPECT_EQ(parse_checkpoint_text(comments).saving, "");
  const std::string mb(10 << 20, 'a');
  EXPECT_NE(error_in("model_checkpoint_path: \"" + mb + "\"").find("a path of at most 4096 bytes (it has 10485760)"),
            std::string::npos);
  EXPECT_NE(error_in("a" + std::string(10 << 20, '{')).find("the end of a block"), std::string::npos);
  EXPECT_NE(error_in(std::string(17 << 20, ' ')).find("17825792 bytes, expected at most 16777216"), std::string::npos);
}

TEST(CheckpointText, NamesOfRunsAndOthers) {
  EXPECT_EQ(step_of_checkpoint_name("model.ckpt-12"), 12);
  for (const char* other : {"model.ckpt-", "model.ckpt--1", "model.ckpt-012", "model.ckpt-1x",
                            "model.ckpt-99999999999999999999", "my.ckpt-1", "model.ckpt", ""})
    EXPECT_EQ(step_of_checkpoint_name(other), -1) << other;
  bool is_data = false;
  EXPECT_EQ(checkpoint_of_file("model.ckpt-12.data-00000-of-00002", &is_data), "model.ckpt-12");
  EXPECT_TRUE(is_data);
  EXPECT_EQ(checkpoint_of_file("model.ckpt-12.index", &is_data), "model.ckpt-12");
  EXPECT_FALSE(is_data);
  for (const char* other : {"model.ckpt-12.data-0000-of-00001", "model.ckpt-12.data-00000-of-00001.bak",
                            "model.ckpt-12.meta", "model.ckpt-12.index.old", "best.index", "model.ckpt-"})
    EXPECT_EQ(checkpoint_of_file(other, &is_data), "") << other;
}

}  // namespace
}  // namespace mox
