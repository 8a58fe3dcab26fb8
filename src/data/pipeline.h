// The parts of the order of samples that data sets outside need not see. Private to the engine.
#pragma once

#include "data/dataset_graph.h"
#include "data/names.h"
#include "moxing/dataset.h"

namespace mox {

namespace data {

// What a resumed training is fed: the sample where it goes on, counted over the epochs, and the order's seed. Without
// order.resumes they are 0 and order.seed.
struct OrderFeeds {
  tensorflow::Output first_sample, seed;
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
