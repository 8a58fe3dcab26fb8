// What the preprocessing families write on the nodes that they make, so that a pass finds them again in whatever graph
// or function they come to lie (passes/fuse_augment.h). Marks are attributes: they change nothing of what a graph
// computes, and programs that do not know them ignore them.
#pragma once

namespace mox::augment_marks {

// On the last node of a family's graph: its name, whether it is random, the output's height and width, and its numbers.
constexpr char kFamily[] = "_mox_augment";
constexpr char kTraining[] = "_mox_augment_training";
constexpr char kSize[] = "_mox_augment_size";      // [height, width]
constexpr char kValues[] = "_mox_augment_values";  // vgg: the mean's red, green, blue; inception: the central fraction
constexpr char kSide[] = "_mox_augment_side";      // vgg, not random: the shorter side

constexpr char kVgg[] = "vgg";
constexpr char kInception[] = "inception";

// On what was drawn: which number it is.
constexpr char kDraw[] = "_mox_draw";

constexpr char kResizedSide[] = "side";
constexpr char kTop[] = "top";
constexpr char kLeft[] = "left";
constexpr char kFlip[] = "flip";  // left and right
constexpr char kBox[] = "box";
constexpr char kBrightness[] = "brightness";
constexpr char kSaturation[] = "saturation";

}  // namespace mox::augment_marks
