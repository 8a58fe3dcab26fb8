#include "moxing/scope.h"

#include "base/limits.h"
#include "graph/graph_state.h"
#include "graph/split_variables.h"
#include "moxing/error.h"
#include "moxing/initializers.h"
#include "tensorflow/cc/framework/scope_internal.h"
#include "tensorflow/cc/ops/logging_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

GraphState::GraphState()
    : graph(tf::OpRegistry::Global()),
      refiner(graph.versions().producer(), graph.op_registry()),
      root(tf::NewInternalScope(&graph, &status, &refiner)) {
  refiner.set_function_library_for_shape_inference(&graph.flib_def());
}

tf::GraphDef GraphState::to_graph_def() const {
  tf::GraphDef def;
  graph.ToGraphDef(&def);
  return def;
}

void throw_if_error(const absl::Status& status, const std::string& what) {
  if (status.ok()) return;
  const std::string message = what + ": " + std::string(status.message());
  if (absl::IsNotFound(status)) throw NotFoundError(message);
  if (absl::IsInvalidArgument(status)) throw InvalidArgumentError(message);
  if (absl::IsDataLoss(status)) throw DataError(message);
  throw RunError(message);
}

void check(const Scope& scope, const std::string& what) { throw_if_error(scope.status(), what); }

namespace {

std::string join_scope(const std::string& scope, const std::string& name) {
  return scope.empty() ? name : scope + "/" + name;
}

tf::TensorShape checked_shape(const Variable& variable, const tf::TensorShape& shape) {
  if (variable.shape != shape)
    throw InvalidArgumentError("variable " + variable.name + " exists with shape " + variable.shape.DebugString() +
                               ", asked for with " + shape.DebugString() +
                               "; use another name or variable scope for another variable");
  return shape;
}

[[noreturn]] void refuse_second_use(const std::string& name) {
  throw InvalidArgumentError(
      "variable " + name +
      " is asked for twice, which two layers or get_variable calls of one name in one variable scope do: they would "
      "share "
      "it. Give them names or variable scopes of their own; to share on purpose, take scope.reuse_variables()");
}

Initializer default_initializer(const tf::TensorShape& shape) {
  return shape.dims() >= 2 ? xavier_initializer() : zeros_initializer();
}

}  // namespace

Scope Scope::new_root() {
  auto state = std::make_shared<GraphState>();
  return Scope(state->root, state);
}

Scope Scope::with(const tf::Scope& base) const {
  Scope scope = *this;
  static_cast<tf::Scope&>(scope) = base;
  return scope;
}

Scope Scope::var_scope(const std::string& name) const {
  Scope scope = with(NewSubScope(name));
  scope.variable_scope_ = join_scope(variable_scope_, name);
  return scope;
}

Scope Scope::var_scope(tf::DataType force_dtype) const {
  Scope scope = *this;
  scope.force_dtype_ = force_dtype;
  return scope;
}

Scope Scope::tower(const std::string& name, const std::string& device) const {
  tf::Scope base = name.empty() ? static_cast<const tf::Scope&>(*this) : NewSubScope(name);
  Scope scope = with(device.empty() ? base : base.WithDevice(device));
  scope.tower_ = name;
  return scope;
}

Scope Scope::without_variable_scope() const {
  Scope scope = *this;
  scope.variable_scope_.clear();
  scope.force_dtype_.reset();
  scope.reuse_ = false;
  scope.finds_ = true;
  return scope;
}

Scope Scope::reuse_variables() const {
  Scope scope = *this;
  scope.reuse_ = true;
  return scope;
}

std::pair<int64_t, int64_t> Scope::next_seed() const {
  if (state_->seed == 0) return {0, 0};
  return {state_->seed, ++state_->seed_count};
}

namespace {

// Where the operations of a variable's initial value are.
Scope initializer_scope(const Scope& scope, const std::string& name) {
  const GraphState& state = scope.state();
  return scope.with(state.root.WithDevice(state.variable_device).NewSubScope(name).NewSubScope("Initializer"));
}

tf::Output initial_value(const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype,
                         const VariableOptions& options) {
  return (options.initializer ? options.initializer : default_initializer(shape))(scope, shape, dtype);
}

// `value`: of the variable's shape; called after its handle is made.
Variable create_variable(const Scope& scope, const std::string& name, const tf::TensorShape& shape, tf::DataType dtype,
                         bool trainable, const std::function<tf::Output()>& value) {
  GraphState& state = scope.state();
  const tf::Scope root = state.root.WithDevice(state.variable_device);
  Variable variable;
  variable.name = name;
  variable.shape = shape;
  variable.dtype = dtype;
  variable.trainable = trainable;
  variable.handle = ops::VarHandleOp(root.WithOpName(name), dtype, shape, ops::VarHandleOp::SharedName(name));
  variable.initializer = ops::AssignVariableOp(root.WithOpName(name + "/Assign"), variable.handle, value()).operation;
  check(scope, "creating variable " + name);
  state.variable_index[name] = state.variables.size();
  state.variables.push_back(variable);
  return variable;
}

void add_weight_decay(const Scope& scope, const Variable& variable, const std::string& tower, float weight_decay) {
  bool& done = scope.state().regularized[{tower, variable.name}];
  if (done) return;
  done = true;
  const tf::Scope s = scope.NewSubScope("Regularizer");
  tf::Output sum = ops::L2Loss(s, variable.value);
  if (sum.type() != tf::DT_FLOAT) sum = ops::Cast(s, sum, tf::DT_FLOAT);
  scope.add_to_collection(collections::kRegularizationLosses,
                          ops::Multiply(s.WithOpName("l2_regularizer"), sum, weight_decay));
}

[[noreturn]] void reject_new_variable(const std::string& name) {
  throw InvalidArgumentError(
      "variable " + name +
      " does not exist, and this scope only reuses variables: a later device or mode asked for a variable that the "
      "first did not create");
}

bool is_split(const GraphState& state, const std::string& name) {
  return state.split.count > 1 && name.rfind(state.split.scope + "/", 0) == 0;
}

std::vector<std::string> names_of_pieces(const GraphState::Split& split, const std::string& name) {
  std::vector<std::string> names;
  for (int i = 1; i <= split.count; ++i)
    names.push_back(split.scope + "/" + split.prefix + std::to_string(i) + name.substr(split.scope.size()));
  return names;
}

std::vector<Variable> make_pieces(const Scope& scope, const std::string& name, const tf::TensorShape& shape,
                                  tf::DataType dtype, const VariableOptions& options) {
  const GraphState::Split& split = scope.state().split;
  const int axis = shape.dims() - 1;
  if (axis < 0 || shape.dim_size(axis) % split.count)
    throw InvalidArgumentError("variable " + name + " of shape " + shape.DebugString() + " cannot be cut into " +
                               std::to_string(split.count) + " pieces of its last dimension");
  tf::TensorShape part = shape;
  part.set_dim(axis, shape.dim_size(axis) / split.count);
  const Scope init = initializer_scope(scope, name);
  const tf::Output whole = initial_value(init, shape, dtype, options);
  const ops::Split values(init.WithOpName("pieces"), axis, whole, split.count);
  std::vector<Variable> pieces;
  for (const std::string& piece : names_of_pieces(split, name))
    pieces.push_back(
        create_variable(scope, piece, part, dtype, options.trainable, [&] { return values.output[pieces.size()]; }));
  return pieces;
}

}  // namespace

SplitVariables::SplitVariables(const Scope& scope, const std::string& prefix, int count)
    : state_(scope.state()), before_(state_.split) {
  state_.split = {scope.variable_scope_name(), prefix, count};
}

SplitVariables::~SplitVariables() { state_.split = before_; }

std::vector<Variable> pieces_of(const Scope& scope, const Variable& variable) {
  const auto found = scope.state().pieces.find(variable.name);
  return found == scope.state().pieces.end() ? std::vector<Variable>{variable} : found->second;
}

Variable Scope::get_variable_object(const std::string& name, const tf::TensorShape& shape,
                                    const VariableOptions& options) const {
  const std::string full_name = join_scope(variable_scope_, name);
  const tf::DataType dtype = force_dtype_.value_or(options.dtype);
  const bool first = reuse_ || finds_ || state_->asked_for.insert({tower_, full_name}).second;
  Variable variable;
  if (is_split(*state_, full_name)) {
    if (!first) refuse_second_use(full_name);
    variable.name = full_name;
    variable.shape = shape;
    variable.dtype = dtype;
    variable.trainable = options.trainable;
    std::vector<Variable>& pieces = state_->pieces[full_name];
    if (pieces.empty() && reuse_) reject_new_variable(full_name);
    if (pieces.empty()) pieces = make_pieces(*this, full_name, shape, dtype, options);
    std::vector<tf::Output> reads;
    for (const Variable& piece : pieces)
      reads.push_back(
          ops::ReadVariableOp(WithOpName(name + "/read").WithDevice(state_->variable_device), piece.handle, dtype));
    variable.value = ops::Concat(WithOpName(name + "/whole"), reads, shape.dims() - 1);
    if (options.weight_decay > 0) add_weight_decay(*this, variable, tower_, options.weight_decay);
    return variable;
  }
  auto found = state_->variable_index.find(full_name);
  if (found != state_->variable_index.end()) {
    variable = state_->variables[found->second];
    checked_shape(variable, shape);
    if (!first) refuse_second_use(full_name);
  } else if (reuse_) {
    reject_new_variable(full_name);
  } else {
    check_fits_memory("variable " + full_name + " of shape " + shape.DebugString(),
                      static_cast<double>(shape.num_elements()) * tf::DataTypeSize(dtype),
                      "look at the number of classes and at the size of the images");
    variable = create_variable(*this, full_name, shape, dtype, options.trainable, [&] {
      return initial_value(initializer_scope(*this, full_name), shape, dtype, options);
    });
  }
  // Each user reads for itself: a read's name tells where it is used, and gradients go to the handle.
  variable.value = ops::ReadVariableOp(WithOpName(name + "/read").WithDevice(state_->variable_device), variable.handle,
                                       variable.dtype);
  if (options.weight_decay > 0) add_weight_decay(*this, variable, tower_, options.weight_decay);
  return variable;
}

tf::Output Scope::get_variable(const std::string& name, const tf::TensorShape& shape,
                               const VariableOptions& options) const {
  const Variable variable = get_variable_object(name, shape, options);
  if (variable.dtype == options.dtype) return variable.value;
  return ops::Cast(WithOpName(name + "/cast"), variable.value, options.dtype);
}

void Scope::add_to_collection(const std::string& key, const tf::Output& tensor) const {
  state_->collections[{tower_, key}].push_back(tensor);
}

std::vector<tf::Output> Scope::get_collection(const std::string& key) const {
  auto found = state_->collections.find({tower_, key});
  return found == state_->collections.end() ? std::vector<tf::Output>() : found->second;
}

std::vector<tf::Output> get_collection(const Scope& scope, const std::string& key) { return scope.get_collection(key); }

Variable get_or_create_global_step(const Scope& scope) {
  return scope.without_variable_scope().get_variable_object(
      "global_step", {}, {.initializer = zeros_initializer(), .trainable = false, .dtype = tf::DT_INT64});
}

std::vector<Variable> global_variables(const Scope& scope) { return scope.state().variables; }

std::vector<int64_t> static_shape(const Scope& scope, const tf::Output& tensor) {
  check(scope, "building the graph");
  auto* context = scope.state().refiner.GetContext(tensor.node());
  auto handle = context->output(tensor.index());
  if (!context->RankKnown(handle))
    throw InvalidArgumentError("tensor " + tensor.name() +
                               " has no known rank here; give it one (set_shape, or a reshape) before a layer uses it");
  std::vector<int64_t> shape(context->Rank(handle));
  for (size_t i = 0; i < shape.size(); ++i) {
    auto dim = context->Dim(handle, i);
    shape[i] = context->ValueKnown(dim) ? context->Value(dim) : -1;
  }
  return shape;
}

void scalar_summary(const Scope& scope, const std::string& tag, const tf::Output& value) {
  const tf::Output as_float = value.type() == tf::DT_FLOAT ? value : tf::Output(ops::Cast(scope, value, tf::DT_FLOAT));
  scope.add_to_collection(collections::kSummaries, ops::ScalarSummary(scope.WithOpName("summary"), tag, as_float));
}

}  // namespace mox
