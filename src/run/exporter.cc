#include "run/exporter.h"

#include <algorithm>
#include <map>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/tensor_info.h"
#include "moxing/class_names.h"
#include "moxing/error.h"
#include "passes/fold_into_variables.h"
#include "run/export_folder.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/variable.pb.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"
#include "tensorflow/core/protobuf/saver.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSaverPrefix[] = "mox_saver";

tf::Tensor strings(const std::vector<std::string>& values) {
  tf::Tensor t(tf::DT_STRING, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) t.flat<tf::tstring>()(i) = values[i];
  return t;
}

tf::Tensor scalar_string(const std::string& value) {
  tf::Tensor t(tf::DT_STRING, {});
  t.scalar<tf::tstring>()() = value;
  return t;
}

// What loaders run to restore the variables: file name -> RestoreV2 -> assignments; and the way back.
void add_saver(const std::vector<VariableInfo>& variables, tf::MetaGraphDef* meta) {
  const std::string prefix = kSaverPrefix;
  tf::GraphDef* graph = meta->mutable_graph_def();
  std::vector<std::string> names, slices(variables.size());
  tf::DataTypeVector dtypes;
  for (const VariableInfo& variable : variables) {
    names.push_back(variable.name);
    dtypes.push_back(variable.dtype);
  }
  add_const(graph, prefix + "/filename/input", scalar_string("model"));
  NodeMaker(graph, prefix + "/filename", "PlaceholderWithDefault")
      .input(prefix + "/filename/input")
      .attr("dtype", tf::DT_STRING)
      .attr("shape", tf::TensorShape({}));
  add_const(graph, prefix + "/names", strings(names));
  add_const(graph, prefix + "/slices", strings(slices));
  NodeMaker save(graph, prefix + "/save", "SaveV2");
  save.input(prefix + "/filename").input(prefix + "/names").input(prefix + "/slices");
  for (size_t i = 0; i < variables.size(); ++i) save.input(prefix + "/read_" + std::to_string(i));
  save.attr("dtypes", dtypes);
  NodeMaker(graph, prefix + "/control", "Identity")
      .input(prefix + "/filename")
      .control(prefix + "/save")
      .attr("T", tf::DT_STRING);
  NodeMaker(graph, prefix + "/restore", "RestoreV2")
      .input(prefix + "/filename")
      .input(prefix + "/names")
      .input(prefix + "/slices")
      .attr("dtypes", dtypes);
  NodeMaker all(graph, prefix + "/restore_all", "NoOp");
  for (size_t i = 0; i < variables.size(); ++i) {
    const std::string number = std::to_string(i);
    NodeMaker(graph, prefix + "/read_" + number, "ReadVariableOp").input(variables[i].handle).attr("dtype", dtypes[i]);
    NodeMaker(graph, prefix + "/assign_" + number, "AssignVariableOp")
        .input(variables[i].handle)
        .input(prefix + "/restore:" + number)
        .attr("dtype", dtypes[i]);
    all.control(prefix + "/assign_" + number);
  }
  tf::SaverDef* saver = meta->mutable_saver_def();
  saver->set_filename_tensor_name(prefix + "/filename:0");
  saver->set_save_tensor_name(prefix + "/control:0");
  saver->set_restore_op_name(prefix + "/restore_all");
  saver->set_version(tf::SaverDef::V2);
}

void add_variable_collections(const std::vector<VariableInfo>& variables, tf::MetaGraphDef* meta) {
  for (const VariableInfo& variable : variables) {
    tf::VariableDef def;
    def.set_variable_name(variable.handle + ":0");
    def.set_initializer_name(variable.initializer);
    def.set_snapshot_name(variable.handle + "/mox_snapshot:0");
    def.set_is_resource(true);
    def.set_trainable(variable.trainable);
    NodeMaker(meta->mutable_graph_def(), variable.handle + "/mox_snapshot", "ReadVariableOp")
        .input(variable.handle)
        .attr("dtype", variable.dtype);
    auto& collections = *meta->mutable_collection_def();
    collections["variables"].mutable_bytes_list()->add_value(def.SerializeAsString());
    if (variable.trainable) collections["trainable_variables"].mutable_bytes_list()->add_value(def.SerializeAsString());
  }
}

std::map<std::string, InputTensor> tensor_types(const tf::GraphDef& graph, const ExportInfo& info) {
  tf::Graph imported(tf::OpRegistry::Global());
  tf::ShapeRefiner refiner(imported.versions().producer(), imported.op_registry());
  tf::ImportGraphDefOptions options;
  std::vector<std::string> names;
  for (const ExportInfo::Signature& signature : info.signatures)
    for (const auto* list : {&signature.inputs, &signature.outputs})
      for (const NamedTensor& named : *list) names.push_back(named.tensor);
  for (const std::string& name : names) {
    const TensorRef ref = parse_tensor(name);
    options.return_tensors.emplace_back(ref.node, ref.port);
  }
  tf::ImportGraphDefResults results;
  throw_if_error(tf::ImportGraphDef(options, graph, &imported, &refiner, &results), "checking the exported graph");
  std::map<std::string, InputTensor> types;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto [node, port] = results.return_tensors[i];
    types[names[i]] = tensor_info(refiner, tf::Output(node, port));
  }
  return types;
}

void add_signatures(const BuiltGraph& graph, tf::MetaGraphDef* meta) {
  const auto types = tensor_types(graph.graph, graph.export_info);
  auto fill = [&](const std::vector<NamedTensor>& list, auto* map) {
    for (const NamedTensor& named : list) {
      tf::TensorInfo& info = (*map)[named.name];
      const InputTensor& type = types.at(named.tensor);
      info.set_name(named.tensor);
      info.set_dtype(type.dtype);
      type.shape.AsProto(info.mutable_tensor_shape());
    }
  };
  for (const ExportInfo::Signature& info : graph.export_info.signatures) {
    tf::SignatureDef& signature = (*meta->mutable_signature_def())[info.name];
    signature.set_method_name("tensorflow/serving/predict");
    fill(info.inputs, signature.mutable_inputs());
    fill(info.outputs, signature.mutable_outputs());
  }
}

void add_meta_info(tf::MetaGraphDef* meta) {
  auto* info = meta->mutable_meta_info_def();
  info->add_tags("serve");
  info->set_tensorflow_version(TF_Version());
  std::map<std::string, const tf::OpDef*> used;
  auto use = [&](const std::string& op) {
    const tf::OpDef* def = nullptr;
    if (tf::OpRegistry::Global()->LookUpOpDef(op, &def).ok()) used[op] = def;
  };
  for (const auto& node : meta->graph_def().node()) use(node.op());
  for (const auto& function : meta->graph_def().library().function())
    for (const auto& node : function.node_def()) use(node.op());
  for (const auto& [name, def] : used) {
    *info->mutable_stripped_op_list()->add_op() = *def;
    info->mutable_stripped_op_list()->mutable_op(info->stripped_op_list().op_size() - 1)->clear_description();
  }
}

NamedValues values_of(const BuiltGraph& graph, const NamedValues& all) {
  std::map<std::string, tf::Tensor> by_name(all.begin(), all.end());
  NamedValues values;
  for (const VariableInfo& variable : graph.variables) {
    auto found = by_name.find(variable.name);
    if (found == by_name.end())
      throw RunError("the exported model has the variable " + variable.name + ", which the run does not have");
    values.push_back(*found);
  }
  return values;
}

}  // namespace

std::string export_saved_model(const BuiltGraph& built, const NamedValues& all, const std::string& log_dir) {
  BuiltGraph graph = built;
  NamedValues values = values_of(built, all);
  fold_into_variables(&graph, &values);
  tf::SavedModel model;
  model.set_saved_model_schema_version(1);
  tf::MetaGraphDef* meta = model.add_meta_graphs();
  *meta->mutable_graph_def() = graph.graph;
  add_saver(graph.variables, meta);
  add_variable_collections(graph.variables, meta);
  add_signatures(graph, meta);
  add_meta_info(meta);

  tf::Env* env = tf::Env::Default();
  ExportFolder folder(log_dir, graph.export_info.version);
  const std::string& temporary = folder.temporary();
  throw_if_error(env->RecursivelyCreateDir(tf::io::JoinPath(temporary, "variables")), "creating " + temporary);
  write_checkpoint(tf::io::JoinPath(temporary, "variables", "variables"), std::move(values));
  if (!graph.class_names.empty()) {
    const std::string assets = tf::io::JoinPath(temporary, "assets");
    throw_if_error(env->RecursivelyCreateDir(assets), "creating " + assets);
    write_class_names(assets, graph.class_names);
  }
  throw_if_error(tf::WriteBinaryProto(env, tf::io::JoinPath(temporary, "saved_model.pb"), model),
                 "writing the model to " + temporary);
  return folder.commit();
}

}  // namespace mox
