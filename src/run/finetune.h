// The option finetune: what of another training's checkpoint a new one starts from, and how that is told.
#pragma once

#include <string>
#include <vector>

#include "run/checkpoint_loader.h"

namespace mox {

// Newest first. NotFoundError when there is no checkpoint.
std::vector<std::string> finetune_prefixes(const std::string& path);
// The model's own of `variables`, as far as the checkpoint_*_patterns let them: not the optimizer's, nor the run's.
std::vector<VariableInfo> finetuned_variables(const std::vector<VariableInfo>& variables, const RunConfig& config);
// A line in the log; the names in log_dir/finetune.txt. `missing`: variables that the checkpoint lacks; `misfits`:
// "name: the model's is …, the checkpoint's …". InvalidArgumentError when nothing fits.
void tell_finetuned(const LoadedCheckpoint& checkpoint, const std::vector<std::string>& missing,
                    const std::vector<std::string>& misfits, const RunConfig& config);

}  // namespace mox
