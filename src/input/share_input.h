// Deals an input that does not know of workers out to them: a pass on the built graph.
#pragma once

#include <string>
#include <vector>

#include "graph/tensor_info.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

struct ShareOptions {
  std::vector<std::string> make_iterators;  // MakeIterator nodes of the run's input
  int64_t batch_size = 0;                   // samples in an element of the iterators; 0: not known
  // EVAL and PREDICT: a worker's batches are those that one process would have made. Otherwise each worker shuffles and
  // repeats its own samples.
  bool keep_order = false;
};

// In front of each iterator, or further up where the samples are not read and decoded yet (before maps, batches,
// prefetching; in training before shuffles, repeats and filters), a MoxShareDataset takes the elements that are this
// worker's. Shuffles that stay above it get the same seed on all workers, else their shares would overlap. Left alone
// is a data set that has its own share (input_position.h), or is sharded by input_fn's own ShardDataset.
//
// Returns what must be fed when iterators are made: int64[4] placeholders named kShare, and kGroupSeed.
MOX_EXPORT Feeds share_input(tensorflow::GraphDef* graph, const ShareOptions& options);

}  // namespace mox
