// What a data set's pipeline is made of: one small function for each tf.data operation (TensorFlow's wheel exports no
// C++ classes for them), and the order of the samples. Each adds to the graph of `scope`; Error when TensorFlow refuses
// what it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "moxing/dataset.h"
#include "moxing/export.h"
#include "moxing/scope.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"

namespace mox {

namespace data {

// A dataset in the graph and what its elements are made of.
struct DatasetNode {
  tensorflow::Output variant;
  tensorflow::DataTypeVector types;
  std::vector<tensorflow::PartialTensorShape> shapes;
};

// begin, begin + step, … below end: int64 scalars.
MOX_EXPORT DatasetNode range(const Scope& scope, const tensorflow::Input& begin, const tensorflow::Input& end,
                             int64_t step);
// The rows of the components, which agree in their first size.
MOX_EXPORT DatasetNode tensor_slices(const Scope& scope, const std::vector<tensorflow::Output>& components);
// Picks from a buffer of that many elements, in the order of the two seeds.
MOX_EXPORT DatasetNode shuffle(const Scope& scope, const DatasetNode& input, const tensorflow::Output& buffer_size,
                               const tensorflow::Output& seed, const tensorflow::Output& seed2);
// Elements joined along a new first dimension, `size` at a time; the last ones, when they are fewer, unless dropped.
MOX_EXPORT DatasetNode batch(const Scope& scope, const DatasetNode& input, int64_t size, bool drop_remainder);
// The rows of each element, one by one.
MOX_EXPORT DatasetNode unbatch(const Scope& scope, const DatasetNode& input);
// That many elements are made ahead of who takes them.
MOX_EXPORT DatasetNode prefetch(const Scope& scope, const DatasetNode& input, int64_t elements);

// Builds the body of a map in a graph of its own; `captured` are the outer tensors, same order.
using MapBody =
    std::function<std::vector<tensorflow::Output>(const Scope& body, const std::vector<tensorflow::Output>& element,
                                                  const std::vector<tensorflow::Output>& captured)>;
struct MapOptions {
  std::vector<tensorflow::Output> captured;  // tensors from outside that the body reads
  int64_t parallel = 0;                      // > 0: that many elements at once
  bool deterministic = true;                 // keep the order when elements are made in parallel
  // The body's operations run one after the other in the thread that asks for the element, not on a pool of threads:
  // faster where they are few and cheap. Not with `parallel`; the body has no control flow.
  bool in_asking_thread = false;
};
// What `body` makes of each element.
MOX_EXPORT DatasetNode map(const Scope& scope, const DatasetNode& input, const MapBody& body,
                           const MapOptions& options = {});
// Makes a data set of an element, in a graph of its own as a MapBody does.
using FlatMapBody = std::function<DatasetNode(const Scope& body, const std::vector<tensorflow::Output>& element,
                                              const std::vector<tensorflow::Output>& captured)>;
// The elements of the data sets that `body` makes of each element, one after the other.
MOX_EXPORT DatasetNode flat_map(const Scope& scope, const DatasetNode& input, const FlatMapBody& body,
                                const std::vector<tensorflow::Output>& captured);

// A dataset op by TensorFlow's name: `inputs` stand behind the input dataset.
struct OpSpec {
  const char* op;
  std::vector<tensorflow::Output> inputs;
  tensorflow::DataTypeVector types;
  std::vector<tensorflow::PartialTensorShape> shapes;
};
// Any other dataset op; without an input dataset when `input` is nullptr.
MOX_EXPORT DatasetNode dataset_op(const Scope& scope, const DatasetNode* input, const OpSpec& spec);

// A placeholder of the tensor's type and shape, fed once when iterators are initialised: the GraphDef stays small.
MOX_EXPORT tensorflow::Output fed_tensor(const Scope& scope, const std::string& name, const tensorflow::Tensor& value);

// The order in which the samples of a data set are read: epochs one after the other, each shuffled as a whole by a
// keyed permutation, so that no order is stored and all workers agree on it.
struct SampleOrder {
  int64_t num_samples = 0;
  bool shuffle = false;
  int64_t num_epochs = 0;  // 0: forever
  int64_t seed = 0;
  int64_t shard_index = 0;
  int64_t num_shards = 1;
  // A resumed training goes on at the sample where it was: set it where the data set delivers one sample a number, in
  // the order of sample_numbers.
  bool resumes = false;
  // The flags name several workers, and the options no shard (then shard_index is 0 and num_shards 1): the run deals
  // the samples out, or, without a run, these numbers do.
  bool dealt = false;
  int64_t worker = 0;
  int64_t workers = 1;

  // In one epoch.
  MOX_EXPORT int64_t samples_per_shard() const;
};

// What the options say, with the seed and this worker's shard filled in; InvalidArgumentError when they make no sense.
// `shuffle`: options.shuffle, or what the data set does without.
MOX_EXPORT SampleOrder checked_order(const Scope& scope, const DatasetOptions& options, int64_t num_samples,
                                     bool shuffle);

// Vectors of sample numbers (int64, below num_samples), `size` at a time; the last one is shorter unless it is dropped.
// All that the order says is done here; what follows maps numbers to samples.
MOX_EXPORT DatasetNode sample_numbers(const Scope& scope, const SampleOrder& order, int64_t size, bool drop_remainder);

}  // namespace data

struct Dataset::Pipeline {
  data::DatasetNode node;  // one component a key
};

}  // namespace mox
