#include "run/shared_state.h"

#include "base/message_body.h"
#include "moxing/error.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Texts travel as TensorFlow writes them; numbers as they lie in memory.
bool is_plain(tf::DataType dtype) { return tf::DataTypeCanUseMemcpy(dtype); }

std::string serialized(const tf::Tensor& tensor) {
  tf::TensorProto proto;
  tensor.AsProtoTensorContent(&proto);
  return proto.SerializeAsString();
}

std::string describe(const NamedValues& values) {
  Body body;
  for (const auto& [name, tensor] : values) {
    body.text(name).number(static_cast<uint64_t>(tensor.dtype())).number(static_cast<uint64_t>(tensor.dims()));
    for (int i = 0; i < tensor.dims(); ++i) body.number(static_cast<uint64_t>(tensor.dim_size(i)));
  }
  return body.take();
}

NamedValues described(const std::string& text) {
  NamedValues values;
  for (BodyReader body(text); !body.rest().empty();) {
    const std::string name = body.text();
    const auto dtype = static_cast<tf::DataType>(body.number());
    tf::TensorShape shape;
    for (uint64_t left = body.number(); left > 0; --left) shape.AddDim(static_cast<int64_t>(body.number()));
    values.emplace_back(name, tf::Tensor(dtype, shape));
  }
  return values;
}

}  // namespace

void share_variables(EngineSession* session, cluster::Ring* ring, int source) {
  if (ring->size() == 1) return;
  const bool gives = ring->rank() == source;
  NamedValues values;
  if (gives) values = session->read_variables();
  std::string head = gives ? describe(values) : "";
  ring->broadcast(&head, source);
  if (!gives) values = described(head);
  for (auto& [name, tensor] : values) {
    if (is_plain(tensor.dtype())) {
      ring->broadcast(tensor.data(), tensor.TotalBytes(), source);
      continue;
    }
    std::string text = gives ? serialized(tensor) : "";
    ring->broadcast(&text, source);
    tf::TensorProto proto;
    if (!gives && (!proto.ParseFromString(text) || !tensor.FromProto(proto)))
      throw Error("the state of another worker has a variable '" + name + "' that cannot be read");
  }
  if (!gives) session->assign(values);
}

}  // namespace mox
