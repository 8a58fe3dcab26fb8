// The mean over all processes of a cluster, by all-reduce (cluster/exchanger.h): each has its own copy of the
// variables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exchange/local_exchange.h"

namespace mox {

class MOX_EXPORT CollectiveExchange : public LocalExchange {
 public:
  struct Options {
    int64_t exchanger = 0;  // the number of the process's cluster::ExchangerNumber
    // What updates variables that no gradient trains (moving averages of batch norm) becomes the mean over all
    // processes, too. Otherwise each keeps those of its own batches.
    bool average_updates = false;
    Sums sums = Sums::kOnHost;  // of this process's devices
    DevicePlan devices;
  };
  explicit CollectiveExchange(const Options& options)
      : LocalExchange(options.sums, options.devices), options_(options) {}

  std::string all_finite(BuiltGraph* graph, const std::string& finite) override;
  // The means over this process's devices, in buckets of some MB in the order in which the backward pass makes them, so
  // that the first are under way while it still computes. No slot is filled, and no other variable of the train ops
  // updated (moving averages), before all are there: a step is applied as a whole, or not at all.
  void join(BuiltGraph* graph) override;

  // For the Exchanger, once the graph is made.
  int buckets() const { return buckets_; }
  // Elements of the tensors of bucket 0, in their order.
  const std::vector<size_t>& first_bucket() const { return first_bucket_; }
  bool has_gate() const { return has_gate_; }

 private:
  std::vector<std::string> waiting_updates(const BuiltGraph& graph, const std::vector<std::string>& buckets) const;
  void average(BuiltGraph* graph, const std::vector<std::string>& updates, std::vector<std::string>* buckets);

  const Options options_;
  int buckets_ = 0;
  std::vector<size_t> first_bucket_;
  std::vector<std::string> train_ops_;  // before the loss scale's own
  bool has_gate_ = false;
};

}  // namespace mox
