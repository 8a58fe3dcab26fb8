// What a label of a data set is to a network: the one place that knows labels_offset and the class lists of runs.
//
// Class k of a network is the label k + labels_offset of the data it is trained on, and has that label's name. What is
// below the offset (ImageNet's 0, background) is no class. A run keeps the names of its classes (labels.txt beside its
// checkpoints); other data with names are taken by name, wherever their lists put them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/scope.h"

namespace mox::data {

// The names of the classes: those of the labels from the offset on. Labels without names and with an offset are called
// by their numbers, so that a class has one name everywhere. InvalidArgumentError when more are named than there are
// classes.
MOX_EXPORT std::vector<std::string> classes_of_labels(const std::vector<std::string>& labels, int64_t labels_offset,
                                                      int64_t num_classes);

struct LabelMap {
  std::vector<std::string> labels;  // the data's names, by label; empty: not known
  std::vector<std::string> names;   // of the classes; empty: not known
  int64_t labels_offset = 0;
  int64_t num_labels = 0;             // those at and above it are no classes
  bool by_name = false;               // else by number
  std::vector<int64_t> classes = {};  // by name: of each label; -1: it is none

  // -1: it is none.
  int64_t class_of(int64_t label) const {
    if (label < (by_name ? 0 : labels_offset) || label >= num_labels) return -1;
    return by_name ? classes[static_cast<size_t>(label)] : label - labels_offset;
  }
};

// `labels`: the data's names, by label. `run`: the names of the run's classes, empty for a new run. Each may be
// unknown; then, and where both lists are the same, labels count. InvalidArgumentError when names are needed, but one
// stands for two classes.
MOX_EXPORT LabelMap map_labels(const std::vector<std::string>& labels, int64_t labels_offset, int64_t num_classes,
                               const std::vector<std::string>& run);

// The class of a label; or an error that names the sample, the label and what was expected. `name` is the image's;
// of a data set without names, `where` stands for it. See class_of_label_op.cc.
MOX_EXPORT tensorflow::Output class_of_label(const Scope& scope, const tensorflow::Output& label,
                                             const tensorflow::Output& name, const std::string& where,
                                             const LabelMap& map);

}  // namespace mox::data
