// What validations are called where they are kept: for the engine, and for what reads a run's folder.
#pragma once

namespace mox {

inline constexpr char kValidationState[] = "validation_state";  // a variable: what the judge knows
inline constexpr char kValidationFolder[] = "validation";       // in log_dir: events
inline constexpr char kValidationPrefix[] = "validation/";      // before metrics, in log.jsonl and best_checkpoint.json

}  // namespace mox
