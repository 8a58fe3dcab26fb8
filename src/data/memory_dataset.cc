#include "data/memory_dataset.h"

#include "base/limits.h"

namespace mox::data {
namespace {
// Rows that one step of the pipeline gathers when samples are delivered one by one: it hides the step's fixed cost.
constexpr int64_t kRowsPerStep = 64;
}  // namespace

std::vector<std::string> MemoryDataset::keys() const {
  std::vector<std::string> names;
  for (const auto& column : columns_.columns) names.push_back(column.first);
  return names;
}

Dataset::Pipeline MemoryDataset::build(const Scope& scope, const std::vector<std::string>& keys) {
  SampleOrder order = checked_order(scope, options_, num_samples(), options_.shuffle.value_or(shuffle_));
  order.resumes = true;
  MapOptions map_options{.captured = {}, .in_asking_thread = true};
  for (const auto& key : keys)
    for (const auto& [name, tensor] : columns_.columns)
      if (name == key) map_options.captured.push_back(fed_tensor(scope, "all_" + name + "s", tensor));
  const bool batches = options_.batch_size > 0;
  const int64_t rows = batches ? options_.batch_size : std::min(kRowsPerStep, num_samples());
  for (const auto& [name, tensor] : columns_.columns)
    check_fits_memory(
        "a batch of " + std::to_string(rows) + " rows of '" + name + "'",
        static_cast<double>(rows) * static_cast<double>(tensor.TotalBytes()) / static_cast<double>(num_samples()),
        "lower batch_size");
  DatasetNode node = sample_numbers(scope, order, rows, batches && options_.drop_remainder);
  node = rows_of(scope, node, map_options);
  // A batch is a copy in memory, made by who asks for it: handing it over would wake a thread for each.
  if (!batches) node = unbatch(scope, prefetch(scope, node, std::max<int64_t>(1, options_.capacity / rows)));
  return {unrewritten(scope, node)};
}

}  // namespace mox::data
