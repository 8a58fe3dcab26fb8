// A record of an image data set, read without the graph: by what converts and counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mox::data {

struct ImageExample {
  std::string encoded;  // the image file, not empty
  int64_t label = 0;
  std::string class_text;  // "" when the record does not say it
  std::string file_name;   // likewise
};

// Reads a tf.Example as TF-slim writes it. Returns what is wrong with it, "" when nothing is.
std::string parse_image_example(std::string_view record, ImageExample* example);

}  // namespace mox::data
