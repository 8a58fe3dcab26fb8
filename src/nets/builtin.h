// A line of the table of networks. Private to the engine.
#pragma once

#include <string>

#include "nets/network.h"

namespace mox::nets {

struct Network {
  const char* name;
  int image_size;
  int labels_offset;
  const char* logits_pattern;  // a regular expression over variable names
  int channels;
  NetworkOutput (*build)(const Scope& scope, const tensorflow::Output& images, const Params& params);
};

// InvalidArgumentError that lists all names when there is none of this name.
const Network& find_network(const std::string& name);

}  // namespace mox::nets
