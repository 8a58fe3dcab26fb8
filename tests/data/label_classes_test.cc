// The one rule of what a label is to a network.
#include "data/label_classes.h"

#include "data/pipeline_runner.h"
#include "moxing/error.h"

namespace mox::test {
namespace {

using data::classes_of_labels;
using data::map_labels;
using Names = std::vector<std::string>;
using Classes = std::vector<int64_t>;

// As ImageNet's: a background, and a name that two classes have.
const Names kLabels = {"background", "crane", "dog", "crane"};

// Of the labels from -1 on, -1 for none.
Classes classes_of(const data::LabelMap& map, int64_t labels) {
  Classes classes;
  for (int64_t label = -1; label < labels; ++label) classes.push_back(map.class_of(label));
  return classes;
}

TEST(LabelClassesTest, TheOffsetLeavesOutTheFirstNames) {
  EXPECT_EQ(classes_of_labels(kLabels, 0, 4), kLabels);
  EXPECT_EQ(classes_of_labels(kLabels, 1, 3), (Names{"crane", "dog", "crane"}));
  EXPECT_EQ(classes_of_labels(kLabels, 1, 5), (Names{"crane", "dog", "crane"}));
  EXPECT_EQ(classes_of_labels({}, 1, 3), (Names{"1", "2", "3"}));
  EXPECT_EQ(classes_of_labels({}, 0, 3), Names{});
  EXPECT_NE(message_of<InvalidArgumentError>([] { classes_of_labels(kLabels, 1, 2); }).find("expected num_classes 3"),
            std::string::npos);
}

TEST(LabelClassesTest, LabelsBelowTheOffsetAreNoClasses) {
  const auto map = map_labels(kLabels, 1, 3, {});
  EXPECT_EQ(classes_of(map, 5), (Classes{-1, -1, 0, 1, 2, -1}));
  EXPECT_EQ(map.names, (Names{"crane", "dog", "crane"}));
  // The same list needs no names, of which two are the same.
  EXPECT_EQ(classes_of(map_labels(kLabels, 1, 3, map.names), 5), classes_of(map, 5));
  EXPECT_EQ(classes_of(map_labels({}, 1, 3, map.names), 5), (Classes{-1, -1, 0, 1, 2, -1}));
  EXPECT_EQ(classes_of(map_labels({}, 0, 3, {}), 4), (Classes{-1, 0, 1, 2, -1}));
}

TEST(LabelClassesTest, OtherListsAreReadByName) {
  const Names run = {"cat", "dog", "fox"};
  EXPECT_EQ(classes_of(map_labels({"fox", "dog", "cat"}, 0, 3, run), 4), (Classes{-1, 2, 1, 0, -1}));
  EXPECT_EQ(classes_of(map_labels({"dog", "fox"}, 0, 3, run), 3), (Classes{-1, 1, 2, -1}));
  EXPECT_EQ(classes_of(map_labels({"cat", "cow", "dog", "fox"}, 0, 3, run), 5), (Classes{-1, 0, -1, 1, 2, -1}));
  EXPECT_EQ(classes_of(map_labels({"background", "cat", "fox"}, 1, 3, run), 4), (Classes{-1, -1, 0, 2, -1}));
  EXPECT_EQ(classes_of(map_labels({"cat", "dog", "fox"}, 1, 3, run), 4), (Classes{-1, 0, 1, 2, -1}))
      << "folders of a run with offset";
  EXPECT_EQ(classes_of(map_labels({"x", "a", "b", "c"}, 1, 3, {"1", "2", "3"}), 5), (Classes{-1, -1, 0, 1, 2, -1}))
      << "the run's are no names but numbers";
}

TEST(LabelClassesTest, ANameOfTwoClassesCannotBeFound) {
  EXPECT_NE(message_of<InvalidArgumentError>([] {
              map_labels({"dog", "crane"}, 0, 3, {"crane", "dog", "crane"});
            }).find("'crane' is there twice in the run's list"),
            std::string::npos);
  EXPECT_NE(message_of<InvalidArgumentError>([] {
              map_labels(kLabels, 0, 3, {"dog", "crane"});
            }).find("the data's list"),
            std::string::npos);
}

}  // namespace
}  // namespace mox::test
