#include "moxing/dataset.h"

#include <algorithm>
#include <random>

#include "data/dataset_options.h"
#include "data/pipeline.h"
#include "graph/graph_state.h"
#include "input/input_position.h"
#include "moxing/error.h"
#include "moxing/flags.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

Dataset::~Dataset() = default;

std::vector<tf::Output> Dataset::get(const Scope& scope, const std::vector<std::string>& wanted) {
  const std::vector<std::string> known = keys();
  if (wanted.empty()) throw InvalidArgumentError("no key was asked for; the data set has: " + data::join_names(known));
  for (const auto& key : wanted)
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw InvalidArgumentError("the data set has no '" + key + "'; it has: " + data::join_names(known));
  const Scope inner = scope.with(scope.NewSubScope("input"));
  const Pipeline pipeline = build(inner, wanted);
  const size_t components = pipeline.node.types.size();
  if (!pipeline.node.variant.node() || components != wanted.size() || pipeline.node.shapes.size() != components)
    throw InvalidArgumentError(
        "the data set's build returned a pipeline of " + std::to_string(components) + " components and " +
        std::to_string(pipeline.node.shapes.size()) +
        " shapes, expected one of each for every key that it was asked for: " + data::join_names(wanted));
  // Another one of the same input, without names, does not take them away.
  if (auto names = class_names(); !names.empty()) scope.state().text_collections["class_names"] = std::move(names);
  scope.state().text_collections["num_samples"] = {std::to_string(num_samples())};
  auto outputs = data::iterate(inner, pipeline.node);
  check(scope, "building the input pipeline");
  return outputs;
}

namespace data {

int64_t SampleOrder::samples_per_shard() const { return (num_samples - shard_index + num_shards - 1) / num_shards; }

Shard shard_of(int64_t shard_index, int64_t num_shards) {
  if (num_shards == 0) {
    if (shard_index != 0)
      throw InvalidArgumentError("data set: shard_index is " + std::to_string(shard_index) +
                                 ", but num_shards is 0, which takes both from the flags; give num_shards too");
    num_shards = num_workers();
    if (num_shards > 1) shard_index = get_flag<int64_t>("task_index");
  }
  check_option(dataset_option("num_shards"), num_shards);
  if (num_shards < 1 || shard_index < 0 || shard_index >= num_shards)
    throw InvalidArgumentError("data set: shard_index is " + std::to_string(shard_index) + " and num_shards " +
                               std::to_string(num_shards) + ", expected 0 <= shard_index < num_shards");
  return {shard_index, num_shards};
}

SampleOrder checked_order(const Scope& scope, const DatasetOptions& options, int64_t num_samples, bool shuffle) {
  check_options(options);
  const Shard shard = shard_of(options.shard_index, options.num_shards);
  if (num_samples <= shard.index)
    throw InvalidArgumentError("data set: " + std::to_string(num_samples) + " samples leave nothing for shard " +
                               std::to_string(shard.index) + " of " + std::to_string(shard.count));
  SampleOrder order{num_samples, shuffle, options.num_epochs,
                    options.seed != 0 ? options.seed : scope.next_seed().first};
  order.dealt = options.num_shards == 0 && shard.count > 1;
  (order.dealt ? order.worker : order.shard_index) = shard.index;
  (order.dealt ? order.workers : order.num_shards) = shard.count;
  if (order.seed == 0) {
    // Shards must agree on the order even when nobody gave a seed.
    order.seed = shard.count > 1 ? 1 : static_cast<int64_t>(std::random_device{}()) + 1;
  }
  return order;
}

namespace {

tf::Tensor int64_scalar(int64_t value) {
  tf::Tensor t(tf::DT_INT64, {});
  t.scalar<int64_t>()() = value;
  return t;
}

}  // namespace

OrderFeeds fed_order(const Scope& scope, const SampleOrder& order) {
  OrderFeeds feeds;
  feeds.seed = order.resumes ? fed_tensor(scope, input_position::kOrderSeed, int64_scalar(order.seed))
                             : ops::Const<int64_t>(scope, order.seed);
  tf::Tensor first = int64_scalar(0);
  if (order.dealt) {
    first = tf::Tensor(tf::DT_INT64, {4});
    first.vec<int64_t>().setValues({0, order.worker, order.workers, 1});
  }
  const char* name = order.dealt ? input_position::kShare : input_position::kFirstSample;
  (order.dealt ? feeds.share : feeds.first_sample) =
      order.resumes ? fed_tensor(scope, name, first) : tf::Output(ops::Const(scope, first));
  return feeds;
}

tf::Output sample_numbers_at(const Scope& s, const SampleOrder& order, const tf::Output& seed,
                             const tf::Output& places) {
  const int64_t per_epoch = order.samples_per_shard();
  const tf::Output epoch = ops::FloorDiv(s, places, per_epoch);
  tf::Output in_epoch = ops::FloorMod(s, places, per_epoch);
  in_epoch = ops::Add(s, ops::Multiply(s, in_epoch, order.num_shards), order.shard_index);
  if (!order.shuffle) return in_epoch;
  const tf::Output seeds = ops::Stack(
      s, std::initializer_list<tf::Input>{ops::Add(s, ops::ZerosLike(s, epoch), seed), epoch, ops::ZerosLike(s, epoch)},
      ops::Stack::Axis(1));
  tf::NodeBuilder builder(s.GetUniqueNameForOp("permute"), "RandomIndexShuffle");
  const tf::Output last = ops::Const(s, order.num_samples - 1);
  tf::Node* node = nullptr;
  builder.Input(in_epoch.node(), in_epoch.index())
      .Input(seeds.node(), seeds.index())
      .Input(last.node(), last.index())
      .Attr("rounds", 4);
  throw_if_error(builder.Finalize(s.graph(), &node), "building the order of the samples");
  throw_if_error(s.DoShapeInference(node), "building the order of the samples");
  return tf::Output(node, 0);
}

namespace {

tf::Output part_of(const Scope& s, const tf::Output& share, int i) {
  return ops::GatherV2(s, share, ops::Const<int64_t>(s, i), 0);
}

// See input_position::Share.
tf::Output joint_places(const Scope& s, const tf::Output& places, const tf::Output& share) {
  const tf::Output block = part_of(s, share, 3);
  const tf::Output blocks =
      ops::Add(s, ops::Multiply(s, ops::FloorDiv(s, places, block), part_of(s, share, 2)), part_of(s, share, 1));
  return ops::Add(s, ops::Add(s, ops::Multiply(s, blocks, block), ops::FloorMod(s, places, block)),
                  part_of(s, share, 0));
}

// How many of the joint row's places below `total` are the worker's.
tf::Output dealt_samples(const Scope& s, int64_t total, const tf::Output& share) {
  const tf::Output none = ops::Const<int64_t>(s, 0), block = part_of(s, share, 3);
  const tf::Output left = ops::Maximum(s, ops::Sub(s, ops::Const<int64_t>(s, total), part_of(s, share, 0)), none);
  const tf::Output round = ops::Multiply(s, part_of(s, share, 2), block);
  const tf::Output rest = ops::Sub(s, ops::FloorMod(s, left, round), ops::Multiply(s, part_of(s, share, 1), block));
  return ops::Add(s, ops::Multiply(s, ops::FloorDiv(s, left, round), block),
                  ops::Minimum(s, ops::Maximum(s, rest, none), block));
}

}  // namespace

DatasetNode sample_numbers(const Scope& scope, const SampleOrder& order, int64_t size, bool drop_remainder) {
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max() / 2;
  const bool forever = order.num_epochs == 0;
  const bool countable = !forever && order.num_epochs <= kFar / order.samples_per_shard();
  const int64_t total = countable ? order.samples_per_shard() * order.num_epochs : kFar;
  const OrderFeeds feeds = fed_order(scope, order);
  const tf::Output begin = order.dealt ? tf::Output(ops::Const<int64_t>(scope, 0)) : feeds.first_sample;
  tf::Output end =
      order.dealt && !forever ? dealt_samples(scope, total, feeds.share) : ops::Const<int64_t>(scope, total);
  const tf::Output last = end;
  // From where it starts: a start in the middle leaves another rest.
  if (drop_remainder && !forever) end = ops::Sub(scope, end, ops::FloorMod(scope, ops::Sub(scope, end, begin), size));
  const bool all_full = forever || drop_remainder || (total % size == 0 && !order.resumes && !order.dealt);
  MapOptions options{.captured = {feeds.seed, last}, .in_asking_thread = true};
  if (order.dealt) options.captured.push_back(feeds.share);
  return map(
      scope, range(scope, begin, end, size),
      [=](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>& captured) {
        const tf::Output& begin = element[0];
        tf::Output places;
        if (all_full) {
          tf::Tensor steps(tf::DT_INT64, {size});
          for (int64_t i = 0; i < size; ++i) steps.vec<int64_t>()(i) = i;
          places = ops::Add(s, ops::Const(s, steps), begin);
        } else {
          places = ops::Range(s, begin, ops::Minimum(s, ops::Add(s, begin, size), captured[1]), int64_t{1});
        }
        if (order.dealt) places = joint_places(s, places, captured[2]);
        return std::vector<tf::Output>{sample_numbers_at(s, order, captured[0], places)};
      },
      options);
}

}  // namespace data
}  // namespace mox
