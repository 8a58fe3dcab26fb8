// labels.txt: class names by number. Three forms: `0: name` a line; all pairs in one line; bare names, one a line.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mox::data {

// The names in the order of their numbers, which must be 0, 1, 2, … DataError that names the line otherwise.
std::vector<std::string> parse_labels(const std::string& path, const std::string& content);
// The names in the file; none when it is not there.
std::vector<std::string> read_labels(const std::string& path);
// What stands between blanks and line ends.
std::vector<std::string> words_of(const std::string& content);
// The names in the label file of one image, by the separator; with "\n", a line that is no class may be several, with
// blanks between them. DataError for a name that is no class.
std::vector<std::string> names_in_label_file(const std::string& path, const std::string& separator,
                                             const std::map<std::string, int64_t>& classes);
// DataError when a name is there twice. (ImageNet has such names; folders cannot.)
void check_distinct(const std::string& path, const std::vector<std::string>& names);
// `0: name` lines. A name that such a line would change stands in quotes, as parse_labels reads it: one with blanks at
// its ends or control characters (\xNN), say.
std::string format_labels(const std::vector<std::string>& names);

// "'a', 'b'": the first few, and how many there are.
std::string quoted_names(const std::vector<std::string>& names);

// InvalidArgumentError that names the classes which only one of the two has.
void check_same_classes(const std::string& path, const std::vector<std::string>& in_file, const std::string& where,
                        const std::vector<std::string>& found);

}  // namespace mox::data
