// What a data set's build() returns. Private to the engine.
#pragma once

#include "data/dataset_graph.h"
#include "data/names.h"
#include "moxing/dataset.h"

namespace mox {

struct Dataset::Pipeline {
  data::DatasetNode node;  // one component a key
};

namespace data {

// The order in which the samples of a data set are read: epochs one after the other, each shuffled as a whole by a
// keyed permutation, so that no order is stored and all workers agree on it.
struct SampleOrder {
  int64_t num_samples = 0;
  bool shuffle = false;
  int64_t num_epochs = 0;  // 0: forever
  int64_t seed = 0;
  int64_t shard_index = 0;
  int64_t num_shards = 1;
  bool resumes = false;  // a resumed training goes on at the sample where it was (see input/input_position.h)

  int64_t samples_per_shard() const;
};

// What a resumed training is fed: the sample where it goes on, counted over the epochs, and the order's seed. Without
// order.resumes they are 0 and order.seed.
struct OrderFeeds {
  tensorflow::Output first_sample, seed;
};
OrderFeeds fed_order(const Scope& scope, const SampleOrder& order);

// Sample numbers of these places in the shard's endless row of epochs.
tensorflow::Output sample_numbers_at(const Scope& scope, const SampleOrder& order, const tensorflow::Output& seed,
                                     const tensorflow::Output& places);

// Vectors of sample numbers, `size` at a time; the last one is shorter unless it is dropped.
DatasetNode sample_numbers(const Scope& scope, const SampleOrder& order, int64_t size, bool drop_remainder);

// This worker's part of the data: what the options say, and with num_shards 0 what the flags task_index and
// worker_hosts do. InvalidArgumentError for a part that is not there.
struct Shard {
  int64_t index = 0;
  int64_t count = 1;
};
Shard shard_of(int64_t shard_index, int64_t num_shards);

// InvalidArgumentError for options that make no sense; fills in the seed and the shard.
SampleOrder checked_order(const Scope& scope, const DatasetOptions& options, int64_t num_samples, bool shuffle);

}  // namespace data
}  // namespace mox
