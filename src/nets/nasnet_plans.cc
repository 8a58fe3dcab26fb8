// NASNet-A (Zoph 2017) and PNASNet-5 (Liu 2018): the cells that were found, and the networks' sizes.
#include "nets/families.h"
#include "nets/nasnet.h"

namespace mox::nets {

namespace nasnet {

constexpr Op kS3 = Op::kSeparable3x3, kS5 = Op::kSeparable5x5, kS7 = Op::kSeparable7x7, kAvg = Op::kAverage3x3,
             kMax = Op::kMax3x3, kId = Op::kNone;

const CellPlan kNormalCell = {
    {{{0, kS5}, {1, kS3}}, {{1, kS5}, {1, kS3}}, {{0, kAvg}, {1, kId}}, {{1, kAvg}, {1, kAvg}}, {{0, kS3}, {0, kId}}},
    {true, false, false, false, false, false, false}};

const CellPlan kReductionCell = {
    {{{0, kS5}, {1, kS7}}, {{0, kMax}, {1, kS7}}, {{0, kAvg}, {1, kS5}}, {{3, kId}, {2, kAvg}}, {{2, kS3}, {0, kMax}}},
    {true, true, true, false, false, false, false}};

const CellPlan kProgressiveCell = {
    {{{1, kS5}, {1, kMax}}, {{0, kS7}, {0, kMax}}, {{0, kS5}, {0, kS3}}, {{4, kS3}, {0, kMax}}, {{1, kS3}, {0, kId}}},
    {true, true, false, false, false, false, false}};

namespace {

Config config_of(const std::string& name) {
  if (name == NetworkKeys::NASNET_CIFAR)
    return {.filters = 32,
            .cells = 18,
            .stem_multiplier = 3,
            .dropout_keep_prob = 1,
            .drop_path_keep_prob = 0.6f,
            .skip_reduction_input = false,
            .cifar = true,
            .training_steps = 937500};
  if (name == NetworkKeys::NASNET_MOBILE)
    return {.filters = 44,
            .cells = 12,
            .stem_multiplier = 1,
            .dropout_keep_prob = 0.5f,
            .drop_path_keep_prob = 1,
            .skip_reduction_input = false};
  if (name == NetworkKeys::NASNET_LARGE)
    return {.filters = 168,
            .cells = 18,
            .stem_multiplier = 3,
            .dropout_keep_prob = 0.5f,
            .drop_path_keep_prob = 0.7f,
            .skip_reduction_input = true};
  if (name == NetworkKeys::PNASNET_MOBILE)
    return {.filters = 54,
            .cells = 9,
            .stem_multiplier = 1,
            .dropout_keep_prob = 0.5f,
            .drop_path_keep_prob = 1,
            .skip_reduction_input = true,
            .progressive = true};
  return {.filters = 216,
          .cells = 12,
          .stem_multiplier = 3,
          .dropout_keep_prob = 0.5f,
          .drop_path_keep_prob = 0.6f,
          .skip_reduction_input = true,
          .progressive = true};  // pnasnet_large
}

}  // namespace
}  // namespace nasnet

NetworkOutput nasnet_family(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  // Variables have no common scope in public checkpoints.
  return nasnet::Builder(net, scope, nasnet::config_of(params.name)).build(images);
}

}  // namespace mox::nets
