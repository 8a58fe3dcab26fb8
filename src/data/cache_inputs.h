// The inputs cache_dir and remove_cache of a dataset op.
#pragma once

#include <memory>

#include "data/sample_cache.h"
#include "moxing/error.h"
#include "tensorflow/core/framework/dataset.h"

namespace mox::data {

// Opens the cache that the inputs name; null where cache_dir is empty.
inline absl::Status open_cache(tensorflow::OpKernelContext* context, std::shared_ptr<SampleCache>* cache) {
  tensorflow::tstring cache_dir;
  bool remove_cache = true;
  TF_RETURN_IF_ERROR(tensorflow::data::ParseScalarArgument(context, "cache_dir", &cache_dir));
  TF_RETURN_IF_ERROR(tensorflow::data::ParseScalarArgument(context, "remove_cache", &remove_cache));
  try {
    if (!cache_dir.empty()) *cache = SampleCache::open(cache_dir, remove_cache);
  } catch (const Error& e) {
    return absl::InvalidArgumentError(e.what());
  }
  return absl::OkStatus();
}

}  // namespace mox::data
