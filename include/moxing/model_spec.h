// What model_fn returns.
#pragma once

#include <concepts>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "moxing/hooks.h"
#include "tensorflow/cc/framework/ops.h"

namespace mox {

// Names for the formats of RunOptions::export_model.
namespace export_keys {
inline constexpr char TF_SERVING[] = "TF_SERVING";
}  // namespace export_keys

using NamedOutputs = std::vector<std::pair<std::string, tensorflow::Output>>;  // in the order in which they are shown

// One loss, or several (GAN). Each is a scalar.
class Losses {
 public:
  Losses() = default;
  template <typename T>
  requires std::convertible_to<T, tensorflow::Output> Losses(const T& loss) : losses_{tensorflow::Output(loss)} {}
  Losses(std::initializer_list<tensorflow::Output> losses) : losses_(losses) {}
  Losses(std::vector<tensorflow::Output> losses) : losses_(std::move(losses)) {}

  const std::vector<tensorflow::Output>& all() const { return losses_; }
  bool empty() const { return losses_.empty(); }

 private:
  std::vector<tensorflow::Output> losses_;
};

struct ExportSignature {
  NamedOutputs inputs_dict, outputs_dict;
};

// Inputs and outputs of the exported model: the signature serving_default.
struct ExportSpec {
  NamedOutputs inputs_dict;  // tensors of model_fn that the server feeds: usually its inputs
  NamedOutputs outputs_dict;
  std::string version = "-1";  // folder name in log_dir; "-1": the highest number there + 1
  // Further ones, by name: the same model asked in another way, see encoded_images.h.
  std::map<std::string, ExportSignature> signatures = {};
};

struct ModelSpec {
  Losses loss;                                         // TRAIN needs it
  std::vector<std::vector<std::string>> var_scopes;    // [i]: loss[i] trains only variables under these scopes
  NamedOutputs log_info;                               // scalars; EVAL needs it
  NamedOutputs output_info;                            // anything; PREDICT needs it
  std::optional<ExportSpec> export_spec;               // export_model needs it
  std::vector<std::shared_ptr<SessionRunHook>> hooks;  // called around every step
};

}  // namespace mox
