// The parts of the order of samples that data sets outside need not see. Private to the engine.
#pragma once

#include "data/dataset_graph.h"
#include "data/names.h"
#include "moxing/dataset.h"

namespace mox {

namespace data {

// What a training is fed: the order's seed, and, counted over the epochs, the sample where it goes on or, when the data
// are dealt out, the worker's share (input/input_position.h). Constants without order.resumes.
struct OrderFeeds {
  tensorflow::Output seed;
  tensorflow::Output first_sample;  // int64 scalar; empty when dealt
  tensorflow::Output share;         // int64[4]; empty unless dealt
};
OrderFeeds fed_order(const Scope& scope, const SampleOrder& order);

// Sample numbers of these places in the shard's endless row of epochs.
tensorflow::Output sample_numbers_at(const Scope& scope, const SampleOrder& order, const tensorflow::Output& seed,
                                     const tensorflow::Output& places);

// This worker's part of the data: what the options say, and with num_shards 0 what the flags task_index and
// worker_hosts do. InvalidArgumentError for a part that is not there.
struct Shard {
  int64_t index = 0;
  int64_t count = 1;
};
Shard shard_of(int64_t shard_index, int64_t num_shards);

}  // namespace data
}  // namespace mox
