// Optimizers that are written in C++: Python hands over gradients and variables, and imports the operations.
#include <algorithm>

#include "graph/fragment.h"
#include "graph/graph_state.h"
#include "graph/tensor_info.h"
#include "module.h"
#include "moxing/error.h"
#include "moxing/initializers.h"
#include "moxing/optimizer.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::python {
namespace {

namespace ops = tf::ops;

// An optimizer and the wrappers around it, inside first.
struct OptimizerPlan {
  std::string name;
  OptimizerOptions options;
  std::vector<std::pair<std::string, OptimizerWrapperOptions>> wrappers;

  OptimizerFn make(const LearningRate& rate) const {
    OptimizerFn fn = get_optimizer_fn(name, rate, options);
    for (const auto& [wrapper, wrapper_options] : wrappers)
      fn = get_optimizer_wrapper_fn(wrapper, std::move(fn), wrapper_options);
    return fn;
  }
};

// A variable of Python's graph.
struct TrainedVariable {
  std::string name;
  int dtype;
  std::vector<int64_t> shape;
};

// What the operations are built for.
struct OptimizerJob {
  std::vector<TrainedVariable> variables;
  std::string variable_device;
  std::vector<std::string> tower_devices;
  std::vector<std::vector<std::vector<int>>> gradients;  // [loss][tower]: the variables that have a gradient there
  std::vector<std::string> taken_names;                  // of variables: state gets others
  bool prepare = true;                                   // false: gradients are those that are applied
};

struct OptimizerFragment {
  Fragment fragment;
  std::vector<std::vector<std::vector<std::string>>> prepared;  // [loss][tower]: tensors
  std::vector<std::vector<std::string>> updates;                // [loss]: operations
};

class OptimizerBuilder {
 public:
  OptimizerBuilder(const OptimizerPlan& plan, const OptimizerJob& job) : job_(job), scope_(Scope::new_root()) {
    GraphState& state = scope_.state();
    state.variable_device = job.variable_device;
    state.taken_names.insert(job.taken_names.begin(), job.taken_names.end());
    for (const TrainedVariable& v : job.variables)
      variables_.push_back(scope_.get_variable_object(
          v.name, tf::TensorShape(v.shape),
          {.initializer = zeros_initializer(), .dtype = static_cast<tf::DataType>(v.dtype)}));
    const tf::Output rate = add_input(scope_, tf::DT_FLOAT, {});
    optimizer_ = plan.make(rate)(scope_);
  }

  // Inputs: the rate; each loss's and tower's gradients; each loss's joined gradients.
  OptimizerFragment build() {
    std::vector<std::vector<std::vector<GradientAndVariable>>> raw(job_.gradients.size());
    for (size_t loss = 0; loss < job_.gradients.size(); ++loss)
      for (size_t tower = 0; tower < job_.gradients[loss].size(); ++tower)
        raw[loss].push_back(tower_gradients(loss, tower));
    std::vector<std::vector<GradientAndVariable>> slots;
    for (size_t loss = 0; loss < raw.size(); ++loss) {
      prepare(raw[loss]);
      slots.push_back(inputs_for(scope_, job_.gradients[loss][0]));
    }
    for (const auto& of_loss : slots) {
      auto& names = result_.updates.emplace_back();
      for (const tf::Operation& op : optimizer_->apply_gradients(scope_, of_loss)) names.push_back(op.node()->name());
    }
    result_.fragment = make_fragment(scope_, inputs_);
    return std::move(result_);
  }

 private:
  tf::Output add_input(const tf::Scope& scope, tf::DataType dtype, const tf::TensorShape& shape) {
    const std::string name = inputs_.empty() ? "input" : "input_" + std::to_string(inputs_.size());
    inputs_.push_back(ops::Placeholder(scope.WithOpName(name), dtype, ops::Placeholder::Shape(shape)));
    return inputs_.back();
  }

  std::vector<GradientAndVariable> inputs_for(const tf::Scope& scope, const std::vector<int>& variables) {
    std::vector<GradientAndVariable> pairs;
    for (int i : variables) {
      const Variable& v = variables_.at(i);
      pairs.push_back({add_input(scope, v.dtype, v.shape), v});
    }
    return pairs;
  }

  Scope tower_scope(size_t tower) const { return scope_.tower("", job_.tower_devices.at(tower)); }

  // Identities: an input that the optimizer hands back as it is must be found in the fragment.
  std::vector<GradientAndVariable> tower_gradients(size_t loss, size_t tower) {
    std::vector<GradientAndVariable> pairs = inputs_for(scope_, job_.gradients[loss][tower]);
    for (GradientAndVariable& pair : pairs) pair.gradient = ops::Identity(tower_scope(tower), pair.gradient);
    return pairs;
  }

  void prepare(const std::vector<std::vector<GradientAndVariable>>& towers) {
    auto& names = result_.prepared.emplace_back();
    for (size_t tower = 0; tower < towers.size(); ++tower) {
      auto& of_tower = names.emplace_back();
      const auto pairs =
          job_.prepare ? optimizer_->prepare_gradients(tower_scope(tower), towers[tower]) : towers[tower];
      for (const GradientAndVariable& pair : pairs) of_tower.push_back(tensor_name(pair.gradient));
    }
  }

  const OptimizerJob& job_;
  const Scope scope_;
  std::vector<Variable> variables_;
  std::vector<tf::Output> inputs_;
  std::unique_ptr<Optimizer> optimizer_;
  OptimizerFragment result_;
};

OptimizerFragment build_optimizer(const OptimizerPlan& plan, const OptimizerJob& job) {
  nb::gil_scoped_release release;
  return OptimizerBuilder(plan, job).build();
}

void bind_optimizer_options(nb::module_& m) {
  nb::class_<OptimizerOptions>(m, "OptimizerOptions")
      .def(nb::init<>())
      .def_rw("momentum", &OptimizerOptions::momentum)
      .def_rw("use_nesterov", &OptimizerOptions::use_nesterov)
      .def_rw("beta1", &OptimizerOptions::beta1)
      .def_rw("beta2", &OptimizerOptions::beta2)
      .def_rw("epsilon", &OptimizerOptions::epsilon)
      .def_rw("rho", &OptimizerOptions::rho)
      .def_rw("decay", &OptimizerOptions::decay)
      .def_rw("centered", &OptimizerOptions::centered)
      .def_rw("initial_accumulator_value", &OptimizerOptions::initial_accumulator_value)
      .def_rw("learning_rate_power", &OptimizerOptions::learning_rate_power)
      .def_rw("l1_regularization_strength", &OptimizerOptions::l1_regularization_strength)
      .def_rw("l2_regularization_strength", &OptimizerOptions::l2_regularization_strength)
      .def_rw("l2_shrinkage_regularization_strength", &OptimizerOptions::l2_shrinkage_regularization_strength)
      .def_rw("weight_decay", &OptimizerOptions::weight_decay)
      .def_rw("exclude_from_weight_decay", &OptimizerOptions::exclude_from_weight_decay);
  nb::class_<OptimizerWrapperOptions>(m, "OptimizerWrapperOptions")
      .def(nb::init<>())
      .def_rw("ratio", &OptimizerWrapperOptions::ratio)
      .def_rw("weight_decay", &OptimizerWrapperOptions::weight_decay)
      .def_rw("skip_one_dimensional", &OptimizerWrapperOptions::skip_one_dimensional)
      .def_rw("num_batches", &OptimizerWrapperOptions::num_batches)
      .def_rw("sync_on_apply", &OptimizerWrapperOptions::sync_on_apply)
      .def_rw("sparsity_strategy", &OptimizerWrapperOptions::sparsity_strategy)
      .def_rw("num_samples", &OptimizerWrapperOptions::num_samples)
      .def_rw("global_batch_size", &OptimizerWrapperOptions::global_batch_size)
      .def_rw("momentum", &OptimizerWrapperOptions::momentum)
      .def_rw("use_nesterov", &OptimizerWrapperOptions::use_nesterov)
      .def_rw("momentum_factor_masking", &OptimizerWrapperOptions::momentum_factor_masking);
}

}  // namespace

void bind_optimizers(nb::module_& m) {
  bind_optimizer_options(m);
  nb::class_<OptimizerPlan>(m, "OptimizerPlan")
      .def("__init__",
           [](OptimizerPlan* self, std::string name, OptimizerOptions options) {
             OptimizerPlan plan{std::move(name), std::move(options), {}};
             plan.make(0.1f)(Scope::new_root());  // raises for what cannot work
             new (self) OptimizerPlan(std::move(plan));
           })
      .def("wrapped",
           [](const OptimizerPlan& self, const std::string& name, const OptimizerWrapperOptions& options) {
             OptimizerPlan plan = self;
             plan.wrappers.emplace_back(name, options);
             plan.make(0.1f);
             return plan;
           })
      .def("build", [](const OptimizerPlan& self,
                       const std::vector<std::tuple<std::string, int, std::vector<int64_t>>>& variables,
                       std::string variable_device, std::vector<std::string> tower_devices,
                       std::vector<std::vector<std::vector<int>>> gradients, std::vector<std::string> taken_names,
                       bool prepare) {
        OptimizerJob job{
            {},     std::move(variable_device), std::move(tower_devices), std::move(gradients), std::move(taken_names),
            prepare};
        for (const auto& [name, dtype, shape] : variables) job.variables.push_back({name, dtype, shape});
        return build_optimizer(self, job);
      });
  nb::class_<OptimizerFragment>(m, "OptimizerFragment")
      .def_prop_ro("graph", [](const OptimizerFragment& self) { return to_bytes(self.fragment.graph); })
      .def_prop_ro("initializers", [](const OptimizerFragment& self) { return to_bytes(self.fragment.initializers); })
      .def_prop_ro(
          "variables",
          [](const OptimizerFragment& self) {
            nb::list list;
            for (const FragmentVariable& v : self.fragment.variables)
              list.append(nb::make_tuple(v.name, v.handle, v.initial_value, static_cast<int>(v.dtype),
                                         *to_list(tf::PartialTensorShape(v.shape.dim_sizes())), v.device));
            return list;
          },
          "(name, handle, initial value, dtype, shape, device) each")
      .def_ro("prepared", &OptimizerFragment::prepared, "[loss][tower]: tensors")
      .def_ro("updates", &OptimizerFragment::updates, "[loss]: operations");
  m.def("optimizer_names", &optimizer_names);
  m.def("optimizer_option_names", &optimizer_option_names);
  m.def("optimizer_wrapper_names", &optimizer_wrapper_names);
}

}  // namespace mox::python
