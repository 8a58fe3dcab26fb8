// Flags of `mox train` that say what becomes of the samples: augmentation, mixup, class weights.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command_line.h"
#include "engine/classifier.h"
#include "engine/classifier_data.h"

namespace mox::cli {

struct RecipeFlags {
  std::string augment = "default", crop_scale, color_jitter, class_weights;
  float hflip = 0.5f, vflip = 0, random_erasing = 0;
  MixOptions mix;
  Recipe recipe;          // take_recipe_flags fills it, but balanced class weights
  bool balanced = false;  // class weights are to be made of the data's counts
};

// What becomes of the samples: all but the class weights.
void add_sample_flags(CommandLine& app, RecipeFlags* flags);
void add_recipe_flags(CommandLine& app, RecipeFlags* flags);
// After parse: flags->recipe's augmentation and mix.
void take_sample_flags(CommandLine& app, RecipeFlags* flags);
// After parse. InvalidArgumentError for what does not fit the network, or not together.
void take_recipe_flags(CommandLine& app, const ClassifierConfig& config, int64_t batch_size, RecipeFlags* flags);
// Balanced weights from the counts; a line in the log.
std::vector<float> balanced_weights(const ClassifierData::ClassCounts& classes);
// For train.json: what differs from the defaults.
nlohmann::ordered_json recipe_json(const RecipeFlags& flags);

}  // namespace mox::cli
