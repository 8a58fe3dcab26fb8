// labels.txt: the class list that goes with a model, so that a label never means another class after deployment.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

// dir/labels.txt, `0: name` a line; replaced whole. Errors are those of file::write (file_error.h).
MOX_EXPORT void write_class_names(const std::string& dir, const std::vector<std::string>& names);
// Empty when dir has none; DataError (path, line) when it is no such list. The forms of a data set's labels.txt, too.
MOX_EXPORT std::vector<std::string> read_class_names(const std::string& dir);

}  // namespace mox
