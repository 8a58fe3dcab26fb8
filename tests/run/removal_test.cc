// What a run removes: its own old checkpoints and what killed runs left, and nothing else, whatever names there are.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace fs = std::filesystem;

RunResult train(const std::string& dir, int64_t steps, int keep = 5) {
  RunOptions options = toy_options(dir, steps);
  options.save_model_steps = 2;
  options.keep_checkpoint_max = keep;
  options.save_summary_steps = 0;
  return run(options);
}

// Names of the checkpoint files that lie there.
std::set<std::string> checkpoint_files(const std::string& dir) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.path().filename().string().find(".ckpt-") != std::string::npos) names.insert(entry.path().filename());
  return names;
}

std::set<std::string> files_of(std::initializer_list<int> steps) {
  std::set<std::string> names;
  for (int step : steps)
    for (const char* suffix : {".index", ".data-00000-of-00001"})
      names.insert("model.ckpt-" + std::to_string(step) + suffix);
  return names;
}

void write(const std::string& path, const std::string& text = "x") { std::ofstream(path) << text; }

std::string read(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Removal, NamesAreNoPatterns) {
  for (const auto& [name, sibling] : {std::pair("run[1]", "run1"), {"run*", "runs"}, {"ru?", "run"}, {"a\\b", "ab"}}) {
    TempDir dir;
    train(dir.path(sibling), 6);
    const auto before = checkpoint_files(dir.path(sibling));
    train(dir.path(name), 6, 1);
    EXPECT_EQ(checkpoint_files(dir.path(sibling)), before) << name;
    EXPECT_EQ(checkpoint_files(dir.path(name)), files_of({6})) << name;
    EXPECT_EQ(train(dir.path(name), 8, 1).steps, 2) << name;
    EXPECT_EQ(checkpoint_files(dir.path(name)), files_of({8})) << name;
    RunOptions from = toy_options(dir.path("other"), 10);
    from.checkpoint_path = dir.path(name) + "/model.ckpt-8";
    LogCapture log;
    run(from);
    EXPECT_TRUE(log.contains("from checkpoint " + from.checkpoint_path)) << name << log.all();
  }
}

TEST(Removal, ACopiedRunUsesItsOwnCheckpointsAndLeavesTheOriginal) {
  TempDir dir;
  train(dir.path("a"), 6);
  const auto original = checkpoint_files(dir.path("a"));
  std::string state = "model_checkpoint_path: \"" + dir.path("a/model.ckpt-6") + "\"\n";  // as tf.train.Saver writes it
  for (int step : {2, 4, 6})
    state += "all_model_checkpoint_paths: \"" + dir.path("a/model.ckpt-" + std::to_string(step)) + "\"\n";
  fs::copy(dir.path("a"), dir.path("b"));
  write(dir.path("b/checkpoint"), state);
  LogCapture log;
  EXPECT_EQ(train(dir.path("b"), 10, 1).steps, 4);
  EXPECT_EQ(checkpoint_files(dir.path("a")), original);
  EXPECT_EQ(checkpoint_files(dir.path("b")), files_of({10}));
  EXPECT_TRUE(log.contains("names " + dir.path("a/model.ckpt-6") + ", which is in another folder; " +
                           dir.path("b/model.ckpt-6") + " of the same name is taken"))
      << log.all();
}

TEST(Removal, WhatLiesElsewhereIsReadAndStays) {
  TempDir dir;
  train(dir.path("a"), 6);
  const auto original = checkpoint_files(dir.path("a"));
  for (const std::string& path : {dir.path("a/model.ckpt-"), std::string("../a/model.ckpt-")}) {
    fs::create_directories(dir.path("b"));
    write(dir.path("b/checkpoint"), "model_checkpoint_path: \"" + path + "6\"\nall_model_checkpoint_paths: \"" + path +
                                        "4\"\nall_model_checkpoint_paths: \"" + path + "6\"\n");
    EXPECT_EQ(train(dir.path("b"), 12, 1).steps, 6) << path;
    EXPECT_EQ(checkpoint_files(dir.path("a")), original) << path;
    EXPECT_EQ(checkpoint_files(dir.path("b")), files_of({12})) << path;
    fs::remove_all(dir.path("b"));
  }
}

TEST(Removal, APathToElsewhereStaysThatPath) {
  TempDir dir;
  train(dir.path("a"), 6);
  const fs::path before = fs::current_path();
  fs::current_path(dir.path());
  fs::create_directory("b");
  write("b/checkpoint",
        "model_checkpoint_path: \"../a/model.ckpt-6\"\nall_model_checkpoint_paths: \"../a/model.ckpt-6\"\n");
  EXPECT_EQ(train("b", 8).steps, 2);
  EXPECT_EQ(read("b/checkpoint"),
            "model_checkpoint_path: \"model.ckpt-8\"\nall_model_checkpoint_paths: \"../a/model.ckpt-6\"\n"
            "all_model_checkpoint_paths: \"model.ckpt-8\"\n");
  fs::current_path(before);
}

TEST(Removal, ABestCheckpointElsewhereStays) {
  TempDir dir;
  train(dir.path("a"), 4);
  const auto original = checkpoint_files(dir.path("a"));
  for (const char* value : {"1e9", "null", "\"x\"", "{}"}) {
    fs::create_directories(dir.path("b"));
    write(dir.path("b/best_checkpoint.json"),
          "{\"checkpoint\": \"../a/model.ckpt-4\", \"metric\": \"loss\", \"value\": " + std::string(value) + "}");
    RunOptions options = toy_options(dir.path("b"), 4);
    options.keep_best = "loss";
    options.log_every_n_steps = 1;
    run(options);
    EXPECT_EQ(checkpoint_files(dir.path("a")), original) << value;
    fs::remove_all(dir.path("b"));
  }
}

TEST(Removal, TheBestOfAnEarlierRunStaysUntilThereIsABetterOne) {
  TempDir dir;
  train(dir.path(), 4);
  const std::string best = R"({"checkpoint": "model.ckpt-2", "metric": "other", "value": 1})";
  write(dir.path("best_checkpoint.json"), best);
  train(dir.path(), 8, 1);  // without keep_best
  EXPECT_EQ(checkpoint_files(dir.path()), files_of({2, 8}));
  EXPECT_EQ(read(dir.path("best_checkpoint.json")), best);
  RunOptions options = toy_options(dir.path(), 10);
  options.keep_checkpoint_max = 1;
  options.log_every_n_steps = 1;
  options.keep_best = "loss";
  run(options);
  EXPECT_EQ(checkpoint_files(dir.path()), files_of({10}));
}

TEST(Removal, OlderCheckpointsOfAPlaceThatCannotBeReachedAreLeftOut) {
  TempDir dir;
  train(dir.path(), 4);
  fs::remove(dir.path("model.ckpt-2.index"));  // the newest alone was copied
  write(dir.path("checkpoint"), R"(model_checkpoint_path: "hdfs://there/run/model.ckpt-4"
    all_model_checkpoint_paths: "hdfs://there/run/model.ckpt-2" all_model_checkpoint_paths: "hdfs://there/run/model.ckpt-4")");
  LogCapture log;
  EXPECT_EQ(train(dir.path(), 6).steps, 2);
  EXPECT_TRUE(log.contains("older checkpoints of other folders are left out")) << log.all();
  write(dir.path("checkpoint"), R"(model_checkpoint_path: "hdfs://there/run/model.ckpt-8")");  // it may be there
  EXPECT_NE(error_of<Error>([&] { train(dir.path(), 10); }).find("hdfs://there/run/model.ckpt-8"), std::string::npos);
}

TEST(Removal, WhatKilledRunsLeftGoesAndTheRestStays) {
  TempDir dir;
  train(dir.path(), 6);
  for (const char* name : {"model.ckpt-3.data-00000-of-00001", "model.ckpt-5.data-00001-of-00002",
                           "model.ckpt-8.index.tempstate123", "model.ckpt-8.data-00000-of-00001.tempstate123",
                           "checkpoint.tmp", "best_checkpoint.json.tmp", ".mox_write_test", ".mox_write_test.123"})
    write(dir.path(name));
  fs::create_directories(dir.path(".exporting-7/variables"));
  write(dir.path(".exporting-7/variables/x"));
  TempDir elsewhere;
  write(elsewhere.path("precious"));
  fs::create_directory_symlink(elsewhere.path(), dir.path(".exporting-8"));
  // Kept by hand, named by nobody; another program's.
  const std::vector<std::string> kept = {"model.ckpt-1.index", "model.ckpt-1.data-00000-of-00001",
                                         "best.ckpt-3.data-00000-of-00001", "model.ckpt-3.data-00000-of-00001.bak"};
  for (const std::string& name : kept) write(dir.path(name));
  // The removal of 2 was under way.
  std::string state = read(dir.path("checkpoint"));
  state.erase(state.find("all_model_checkpoint_paths: \"model.ckpt-2\"\n"),
              std::string("all_model_checkpoint_paths: \"model.ckpt-2\"\n").size());
  write(dir.path("checkpoint"), state + "# moxing removing \"model.ckpt-2\"\n");
  EXPECT_EQ(train(dir.path(), 6).steps, 0);
  std::set<std::string> expected = files_of({4, 6});
  expected.insert(kept.begin(), kept.end());
  EXPECT_EQ(checkpoint_files(dir.path()), expected);
  for (const char* name : {"checkpoint.tmp", "best_checkpoint.json.tmp", ".mox_write_test", ".mox_write_test.123",
                           ".exporting-7", ".exporting-8"})
    EXPECT_FALSE(fs::exists(fs::symlink_status(dir.path(name)))) << name;
  EXPECT_TRUE(fs::exists(elsewhere.path("precious")));
  EXPECT_EQ(read(dir.path("checkpoint")), state);
}

TEST(Removal, ASaveThatWasKilledWhenItWasWholeCounts) {
  TempDir dir;
  train(dir.path(), 6);
  write(dir.path("checkpoint"),
        "model_checkpoint_path: \"model.ckpt-4\"\nall_model_checkpoint_paths: \"model.ckpt-2\"\n"
        "all_model_checkpoint_paths: \"model.ckpt-4\"\n# moxing saving \"model.ckpt-6\"\n");
  EXPECT_EQ(train(dir.path(), 8, 2).steps, 2);
  EXPECT_EQ(checkpoint_files(dir.path()), files_of({6, 8}));
  // What is not whole does not.
  fs::remove(dir.path("model.ckpt-8.index"));
  write(dir.path("checkpoint"),
        "model_checkpoint_path: \"model.ckpt-6\"\nall_model_checkpoint_paths: \"model.ckpt-6\"\n"
        "# moxing saving \"model.ckpt-8\"\n");
  EXPECT_EQ(train(dir.path(), 9, 2).steps, 3);
  EXPECT_EQ(checkpoint_files(dir.path()), files_of({8, 9}));
}

TEST(Removal, WhoeverWentBackToAnEarlierCheckpointGoesOnFromThere) {
  TempDir dir;
  train(dir.path(), 6);
  write(dir.path("checkpoint"),
        "model_checkpoint_path: \"model.ckpt-2\"\nall_model_checkpoint_paths: \"model.ckpt-2\"\n");
  EXPECT_EQ(train(dir.path(), 3).steps, 1);
  std::set<std::string> expected = files_of({2, 3, 4, 6});
  EXPECT_EQ(checkpoint_files(dir.path()), expected);
}

TEST(Removal, ABrokenListOfCheckpointsIsWarnedOf) {
  for (const std::string& junk : {std::string("junk"), "model_checkpoint_path: \"" + std::string(5 << 20, 'a') + "\"",
                                  std::string(20 << 20, 'x')}) {
    TempDir dir;
    train(dir.path(), 4);
    write(dir.path("checkpoint"), junk);
    LogCapture log;
    EXPECT_EQ(train(dir.path(), 6).steps, 2);
    EXPECT_TRUE(log.contains(dir.path("checkpoint") + " is no list of checkpoints: ")) << log.all();
    fs::create_directory(dir.path("new"));
    write(dir.path("new/checkpoint"), junk);
    const std::string error = error_of<DataError>([&] { train(dir.path("new"), 2); });
    EXPECT_NE(error.find("new/checkpoint is no list of checkpoints: "), std::string::npos) << error;
    EXPECT_NE(error.find("remove the file to start anew"), std::string::npos) << error;
  }
}

TEST(Removal, AListOfClassesIsWrittenWholeOrStays) {
  TempDir dir;
  write_class_names(dir.path(), {"cat", "dog"});
  const std::string before = read(dir.path("labels.txt"));
  fs::create_hard_link(dir.path("labels.txt"), dir.path("as_it_was"));
  write_class_names(dir.path(), {"ant"});
  EXPECT_EQ(read(dir.path("as_it_was")), before);  // not emptied before the new list was there
  EXPECT_EQ(read_class_names(dir.path()), std::vector<std::string>{"ant"});
}

TEST(Removal, VersionsOfExportsStayInTheirFolder) {
  for (const char* version : {"../out", "a/b", "/abs", "..", ".", "", " ", "3 ", ".hidden", ".exporting-1", "a\nb"}) {
    TempDir dir;
    RunOptions options = toy_options(dir.path("run"), 2);
    options.export_model = export_keys::TF_SERVING;
    options.model_fn = [version](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      ModelSpec spec = regression_model(s, inputs, mode);
      spec.export_spec->version = version;
      return spec;
    };
    LogCapture log;
    const std::string error = error_of<InvalidArgumentError>([&] { run(options); });
    EXPECT_NE(error.find("the version of an exported model is '"), std::string::npos) << error;
    EXPECT_FALSE(log.contains("Running will end"));
    EXPECT_FALSE(fs::exists(dir.path("out")));
  }
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 2);
  options.export_model = export_keys::TF_SERVING;
  fs::create_directory(dir.path("9223372036854775807"));
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("there is no next number"), std::string::npos);
}

}  // namespace
}  // namespace mox
