// Gradients joined on parameter servers: TensorFlow's gRPC servers keep the variables, and workers read them there.
#pragma once

#include <string>
#include <vector>

#include "devices/device_plan.h"
#include "exchange/local_exchange.h"
#include "exchange/server_placement.h"

namespace mox {

struct ParameterServerOptions {
  int task = 0;  // this worker; 0 is the chief, who applies what all have pushed
  int workers = 1;
  DevicePlan devices;  // in_cluster
  // Workers wait for each other in every step. Else each applies its own gradients as they come.
  bool sync = true;
  // With sync: gradients that make a step; what comes later for the same step is dropped. 0: of all workers.
  int replicas_to_aggregate = 0;
  bool bfloat16_gradients = false;  // how they travel with sync
  // With sync: the model reads copies of its trained variables in this process, which are renewed at the end of a step.
  bool copies = false;
  bool tries_copies = false;  // the graph has a variant with them
};

// Sync: each variable has an accumulator on its server. All workers push; the chief's step takes the mean, updates the
// variables and counts, then hands every other worker a token: its step ends with that. A step's updates wait until all
// workers have computed their gradients, and a flag on server 0 is false while they are under way, see kWholeState.
// Accumulators and queues carry the name of a generation, so that nothing half-done of a broken step is left in them.
//
// Async: the updates are in every worker's graph and lock their variables; log_info has the staleness, the number of
// updates by others between reading the variables and applying the gradients.
class MOX_EXPORT ParameterServerExchange : public LocalExchange {
 public:
  explicit ParameterServerExchange(const ParameterServerOptions& options);

  std::string all_finite(BuiltGraph* graph, const std::string& finite) override;
  void join(BuiltGraph* graph) override;
  // Also leaves to the chief what is the chief's: initial values, moving averages, and with sync the updates.
  void place(BuiltGraph* graph) override;

  // Operations that begin a generation, in this order, once the variables and the input are there.
  const std::vector<std::string>& starters() const { return starters_; }
  // Variables in `graph` after place(): which are on servers.
  const ServerOfVariable& servers() const { return servers_; }

 private:
  std::string server_0() const { return options_.devices.server(0); }
  bool is_chief() const { return options_.task == 0; }
  int needed() const;
  std::vector<std::string> gates() const {
    return gate_.empty() ? std::vector<std::string>() : std::vector<std::string>{gate_};
  }
  std::string add_accumulator(BuiltGraph* graph, const std::string& name, const std::string& device);
  std::string add_take(BuiltGraph* graph, const std::string& name, tensorflow::DataType dtype, const std::string& push,
                       const std::string& device);
  void add_push(BuiltGraph* graph, const std::string& name, const std::string& value, tensorflow::DataType dtype,
                const std::string& device, const std::string& after = "");
  std::string add_queue(BuiltGraph* graph, const std::string& name, tensorflow::DataType dtype);
  void add_local_step(BuiltGraph* graph);
  void add_whole_state(BuiltGraph* graph);
  void read_global_step(BuiltGraph* graph, const std::string& name, const std::string& after);
  std::string add_exchange(BuiltGraph* graph, const std::string& name, std::string tensor, tensorflow::DataType dtype,
                           const std::string& here, const std::string& server);
  void fill_slot(BuiltGraph* graph, int slot, const std::string& joined, const std::string& server);
  void join_slots(BuiltGraph* graph);
  void wait_for_all(BuiltGraph* graph);
  void note_arrival(BuiltGraph* graph, const std::string& after);
  void end_step_of_chief(BuiltGraph* graph);
  void end_step_of_other(BuiltGraph* graph);
  void start(BuiltGraph* graph);
  void add_staleness(BuiltGraph* graph);
  void leave_to_chief(BuiltGraph* graph);
  void use_copies(BuiltGraph* graph);
  void read_copy(BuiltGraph* graph, int reader, const std::string& copy, StepVariant* variant) const;
  void add_copy(BuiltGraph* graph, const VariableInfo& variable, StepVariant* variant);
  void take_local_state_of_chief(BuiltGraph* graph);

  const ParameterServerOptions options_;
  ServerOfVariable servers_;
  std::vector<std::string> starters_;
  std::string gate_;     // node that says whether all gradients are finite; "" without a dynamic loss scale
  std::string arrived_;  // node of the chief: all workers have their gradients
  std::vector<std::pair<std::string, std::string>> accumulators_;  // node, device
};

// A bool on server 0 that every process can ask for: no step's updates are under way, the state is whole.
constexpr char kWholeState[] = "mox_ps/whole";
constexpr char kReadWholeState[] = "mox_ps/whole/read";

// An int64 on server 0: the newest step for which a worker has all its gradients.
std::string arrival_of_worker(int worker);

// The graph's accumulators and queues become those of a generation: what an earlier one left is not seen any more.
MOX_EXPORT void set_generation(tensorflow::GraphDef* graph, const std::string& generation);

}  // namespace mox
