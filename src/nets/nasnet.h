// Cells that architecture search found (Zoph 2017, Liu 2018), as data, and what builds them.
#pragma once

#include <string>
#include <vector>

#include "nets/network.h"

namespace mox::nets::nasnet {

enum class Op { kNone, kSeparable3x3, kSeparable5x5, kSeparable7x7, kAverage3x3, kMax3x3 };

// Five combinations of two states each; states 0 and 1 are the cell's and the previous cell's input, 2 to 6 the
// combinations. The output joins the states that no combination uses.
struct CellPlan {
  struct Side {
    int state;
    Op op;
  };
  Side sides[5][2];
  bool used[7];
};

extern const CellPlan kNormalCell, kReductionCell;  // NASNet-A
extern const CellPlan kProgressiveCell;             // PNASNet-5, normal and reduction alike

struct Config {
  int filters;  // of the first normal cells
  int cells;
  float stem_multiplier;
  float dropout_keep_prob;    // before the logits
  float drop_path_keep_prob;  // of the last cell at the end of training
  bool skip_reduction_input;  // a normal cell after a reduction sees the input of that reduction
  bool cifar = false;         // stem for 32x32 images: one convolution, no reduction cells
  bool progressive = false;
  int training_steps = 250000;  // drop path grows until then
};

class Builder {
 public:
  Builder(Net& net, const Scope& scope, const Config& config);
  NetworkOutput build(const tensorflow::Output& images);

 private:
  struct Cell {
    double scaling;  // filters = config.filters * scaling
    int stride;
    int number;  // in the order of the network, for drop path
  };
  using Output = tensorflow::Output;

  Output cell(const CellPlan& plan, const std::string& name, const Output& x, const Output& previous, const Cell& cell);
  Output apply(const Scope& s, const Output& x, Op op, int filters, int stride, bool from_input, int number);
  Output separable(const Scope& s, Output x, int kernel, int filters, int stride);
  Output pool(const Scope& s, const Output& x, Op op, int filters, int stride);
  Output conv_norm(const Scope& s, const Output& x, int filters, const std::string& conv, const std::string& norm,
                   int stride = 1);
  Output norm(const Scope& s, const Output& x, const std::string& name);
  // Half of the filters see the even pixels, half the odd ones.
  Output factorized_reduction(const Scope& s, const Output& x, int filters, int stride);
  Output fit_previous(const Scope& s, const Output& previous, const Output& x, int filters);
  Output join_unused(const Scope& s, const CellPlan& plan, std::vector<Output> states);
  Output drop_path(const Scope& s, const Output& x, int number);
  Output stem(const Output& images);
  Output auxiliary(const Scope& s, const Output& x);
  void cells();

  Net& net_;
  Scope scope_;
  Config config_;
  std::vector<Output> outputs_;  // of the stem and the cells so far; the first is a null Output
  int total_cells_;
  int number_ = 0;
};

}  // namespace mox::nets::nasnet
