#include "moxing/tensor_dataset.h"

#include "data/memory_dataset.h"
#include "moxing/error.h"

namespace mox {

std::unique_ptr<Dataset> make_tensor_dataset(std::vector<std::pair<std::string, tensorflow::Tensor>> columns,
                                             std::vector<std::string> class_names, const DatasetOptions& options) {
  if (columns.empty()) throw InvalidArgumentError("a data set of tensors needs at least one");
  for (const auto& [key, tensor] : columns) {
    if (tensor.dims() < 1 || tensor.dim_size(0) == 0)
      throw InvalidArgumentError("'" + key + "' has shape " + tensor.shape().DebugString() + ": no row, so no sample");
    if (tensor.NumElements() == 0)
      throw InvalidArgumentError("'" + key + "' has shape " + tensor.shape().DebugString() +
                                 ": its rows have no values; expected at least 1 in each dimension");
    if (tensor.dim_size(0) != columns[0].second.dim_size(0))
      throw InvalidArgumentError("'" + key + "' has " + std::to_string(tensor.dim_size(0)) + " rows, '" +
                                 columns[0].first + "' has " + std::to_string(columns[0].second.dim_size(0)) +
                                 "; give every key one row a sample");
  }
  return std::make_unique<data::MemoryDataset>(data::MemoryColumns{std::move(columns), std::move(class_names)},
                                               options.shuffle.value_or(false), options);
}

}  // namespace mox
