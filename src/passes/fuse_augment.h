// Decoding an image file and what a family of preprocessing does to it, as one operation: a pass on the built graph.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// In the functions of the input pipeline: where what vgg, pvanet or inception (without hue and contrast) make of an
// image is all that is wanted of a decoded file, both become MoxDecodeAugment, which decodes only what is needed
// (data/augment_image.h). What is drawn at random stays in the graph. The preprocessing may stand in the function that
// decodes (a data set's augmentation_fn) or in a later map (input_fn): then it moves to where the file is decoded, so
// that a broken file is found, named and left out there, as before.
//
// A family's graph is known by its marks (graph/augment_marks.h), and what lies between the image and its result is
// compared with what the operation does: a graph that does anything else stays as it is.
// Returns how many. Environment MOX_FUSE_AUGMENT=0: none (to compare).
MOX_EXPORT int fuse_augmentation(tensorflow::GraphDef* graph);

}  // namespace mox
