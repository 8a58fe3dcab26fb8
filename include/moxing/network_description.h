// What a built-in network consists of, found by building it: for `mox nets`, the docs and tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/nets.h"

namespace mox {

struct NetworkDescription {
  struct VariableInfo {
    std::string name;
    std::vector<int64_t> shape;
    bool trainable = true;
    bool regularized = false;  // weight decay applies to it
  };
  struct EndPoint {
    std::string name;
    std::vector<int64_t> shape;  // with the batch
  };
  // A convolution, dense layer or pooling, in the order of the graph.
  struct Layer {
    std::string name;
    std::string type;            // TensorFlow's operation: Conv2D, DepthwiseConv2dNative, MatMul, MaxPool, AvgPool
    std::vector<int64_t> shape;  // of its result, with the batch
    int64_t multiply_adds = 0;   // for one image; 0 for poolings
  };

  std::string name;
  ModelMeta meta;
  int num_classes = 0;
  std::vector<VariableInfo> variables;
  std::vector<EndPoint> end_points;
  std::vector<Layer> layers;
  int64_t parameters = 0;     // elements of trainable variables
  int64_t multiply_adds = 0;  // of convolutions and dense layers, for one image
};

struct DescribeOptions {
  int num_classes = 0;  // 0: 10 for networks of 28x28 and 32x32 images, 1000 for the others
  int batch_size = 1;
  int image_size = 0;  // 0: the network's own
  ModeKeys mode = ModeKeys::EVAL;
  std::string data_format = "NHWC";
};

// InvalidArgumentError for an unknown name, listing all.
MOX_EXPORT NetworkDescription describe_network(const std::string& name, const DescribeOptions& options = {});

}  // namespace mox
