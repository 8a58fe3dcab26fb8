// The labels of a data set, one after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "moxing/dataset.h"
#include "moxing/export.h"

namespace mox::data {

// Calls `each` with the label of every sample of the data set, which must end. `name`: the data set's, for errors.
MOX_EXPORT void for_each_label(Dataset& dataset, const std::string& name,
                               const std::function<void(int64_t label)>& each);

}  // namespace mox::data
