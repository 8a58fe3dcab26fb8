// CifarNet: two convolutions with local response normalization, three dense layers. 32x32 images.
#include "nets/families.h"

namespace mox::nets {

NetworkOutput cifarnet(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  net.conv.weights_initializer = truncated_normal_initializer(0.05f);
  net.conv.weight_decay = 0;  // only the dense layers are regularized
  net.dense.weights_initializer = truncated_normal_initializer(0.04f);
  net.dense.biases_initializer = constant_initializer(0.1f);
  const layers::LocalResponseOptions lrn{
      .depth_radius = 4, .bias = 1, .alpha = 0.001f / 9, .beta = 0.75f, .data_format = net.data_format()};
  const Scope s = scope.var_scope("CifarNet");
  tensorflow::Output x = net.end_point("conv1", net.conv2d(s, images, 64, 5, "conv1"));
  x = net.end_point("pool1", net.max_pool(s, x, 2, "pool1"));
  x = layers::local_response_normalization(s, x, "norm1", lrn);
  x = net.end_point("conv2", net.conv2d(s, x, 64, 5, "conv2"));
  x = layers::local_response_normalization(s, x, "norm2", lrn);
  x = net.end_point("pool2", net.max_pool(s, x, 2, "pool2"));
  x = net.end_point("Flatten", net.flatten(s, x));
  x = net.end_point("fc3", layers::fully_connected(s, x, 384, "fc3", net.dense));
  x = net.dropout(s, x, 0.5f, "dropout3");
  x = net.end_point("fc4", layers::fully_connected(s, x, 192, "fc4", net.dense));
  const layers::FullyConnectedOptions logits{.activation = nullptr,
                                             .weights_initializer = truncated_normal_initializer(1 / 192.0f)};
  return net.finish(scope, layers::fully_connected(s, x, params.num_classes, "logits", logits));
}

}  // namespace mox::nets
