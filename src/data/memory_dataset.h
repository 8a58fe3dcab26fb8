// A data set that is small enough to live in memory: one tensor a key, one row a sample.
#pragma once

#include "data/pipeline.h"
#include "moxing/dataset.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox::data {

struct MemoryColumns {
  std::vector<std::pair<std::string, tensorflow::Tensor>> columns;  // key, [num_samples, …]
  std::vector<std::string> class_names;
};

class MemoryDataset : public Dataset {
 public:
  MemoryDataset(MemoryColumns columns, bool shuffle, const DatasetOptions& options)
      : columns_(std::move(columns)), shuffle_(shuffle), options_(options) {}

  std::vector<std::string> keys() const override;
  int64_t num_samples() const override { return columns_.columns[0].second.dim_size(0); }
  std::vector<std::string> class_names() const override { return columns_.class_names; }

 protected:
  Pipeline build(const Scope& scope, const std::vector<std::string>& keys) override;

 private:
  MemoryColumns columns_;
  bool shuffle_;
  DatasetOptions options_;
};

}  // namespace mox::data
