// The part of the pipeline that all TFRecord data sets share. Private to the engine.
#pragma once

#include "data/pipeline.h"
#include "moxing/tfrecord.h"

namespace mox::data {

// Elements (record, name); broken ones are errors of their element.
DatasetNode read_records(const Scope& scope, const BaseTFRecordMetadata& metadata,
                         const TFRecordDatasetOptions& options, const std::string& broken_counter);

// The features of one record, parsed; a feature that is missing or of another type is an error that has the name.
ParsedFeatures parse_features(const Scope& scope, const tensorflow::Output& record, const tensorflow::Output& name,
                              const KeysToFeatures& features);

}  // namespace mox::data
