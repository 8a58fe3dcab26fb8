// A data set made of tensors in memory.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "moxing/dataset.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// One tensor a key, [num_samples, …]; row i of every tensor is sample i. Not shuffled unless options say so.
// InvalidArgumentError when the tensors have no rows or different numbers of rows. The tensors are shared, not copied.
MOX_EXPORT std::unique_ptr<Dataset> make_tensor_dataset(std::vector<std::pair<std::string, tensorflow::Tensor>> columns,
                                                        std::vector<std::string> class_names = {},
                                                        const DatasetOptions& options = {});

}  // namespace mox
