// How built-in data sets are opened. Private to the engine.
#pragma once

#include <memory>
#include <string>

#include "moxing/dataset.h"

namespace mox::data {

// MNIST's four idx files, packed or not.
std::unique_ptr<Dataset> open_idx(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                  const DatasetOptions& options);
// CIFAR-10's binary version, in the folder itself or in cifar-10-batches-bin/.
std::unique_ptr<Dataset> open_cifar10(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                      const DatasetOptions& options);

// What TF-slim's scripts make of such a data set: NAME_SPLIT.tfrecord, images of one size. Null when it is not there.
std::unique_ptr<Dataset> open_converted(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                        const DatasetOptions& options);

// Image records as TF-slim's scripts write them.
std::unique_ptr<Dataset> open_slim_records(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                           const DatasetOptions& options);

}  // namespace mox::data
