// A family's preprocessing (preprocess/vgg.cc, preprocess/inception.cc) in a function of the input pipeline, found by
// its marks: for passes/fuse_augment.cc.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "passes/function_body.h"
#include "tensorflow/core/framework/node_def.pb.h"

namespace mox {

// From the image to its marked result.
struct AugmentRegion {
  tensorflow::NodeDef* last = nullptr;
  std::string image;                                  // what it is made of: a tensor of the function
  std::set<std::string> nodes;                        // all that only the result is computed from, the image aside
  std::map<std::string, tensorflow::NodeDef*> draws;  // by their marks
  bool flips = false;

  bool vgg() const;
  bool training() const;
};

// That of the marked node `last`; none where anything else is done between image and result than MoxDecodeAugment does,
// where it reads anything else, or where it is not drawn as the families draw.
std::optional<AugmentRegion> find_augment_region(const FunctionBody& body, tensorflow::NodeDef* last);
// Whether nothing but the region reads its image, and nothing but the tensor `result` leaves it.
bool is_closed(FunctionBody* body, const AugmentRegion& region, const std::string& result);

}  // namespace mox
