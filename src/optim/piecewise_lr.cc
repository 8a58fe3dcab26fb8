// Strategies like "5:0.1->0.4,10:0.4=>0.8,15:0.8": their grammar, their curve, their graph.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <numbers>

#include "moxing/error.h"
#include "moxing/learning_rate_scheduler.h"

namespace mox::learning_rate_scheduler {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

class StrategyParser {
 public:
  explicit StrategyParser(const std::string& text) : text_(text) {}

  std::vector<LrPiece> parse() {
    std::vector<LrPiece> pieces;
    do {
      pieces.push_back(parse_entry(pieces.empty() ? 0 : pieces.back().end_epoch));
    } while (accept(","));
    skip_space();
    if (position_ != text_.size()) fail(position_, "expected ',' and the next END_EPOCH:VALUE, or the end");
    return pieces;
  }

 private:
  LrPiece parse_entry(double start_epoch) {
    LrPiece piece;
    piece.start_epoch = start_epoch;
    skip_space();
    const size_t at = position_;
    piece.end_epoch = parse_number("an end epoch (a number)");
    if (piece.end_epoch <= start_epoch)
      fail(at, start_epoch == 0 ? "an end epoch must be above 0" : "an end epoch must be above the one before it");
    if (!accept(":")) fail(position_, "expected ':' after the end epoch");
    parse_value(&piece);
    return piece;
  }

  void parse_value(LrPiece* piece) {
    skip_space();
    const size_t first_at = position_;
    piece->start_value = piece->end_value = parse_number("a learning rate (a number)");
    if (accept("->")) {
      piece->kind = LrPiece::kLinear;
    } else if (accept("=>")) {
      piece->kind = LrPiece::kExponential;
    } else if (accept("~>")) {
      piece->kind = LrPiece::kCosine;
    } else {
      return;
    }
    skip_space();
    const size_t second_at = position_;
    piece->end_value = parse_number("a learning rate (a number)");
    if (piece->kind != LrPiece::kExponential) return;
    if (piece->start_value == 0) fail(first_at, "an exponential curve (=>) cannot start at 0; use -> for a linear one");
    if (piece->end_value == 0) fail(second_at, "an exponential curve (=>) cannot end at 0; use -> for a linear one");
  }

  double parse_number(const char* what) {
    skip_space();
    const char* begin = text_.c_str() + position_;
    // strtod also takes signs, hexadecimal, "inf" and "nan".
    size_t length = 0;
    while (std::isdigit(static_cast<unsigned char>(begin[length])) || begin[length] == '.') ++length;
    if (length > 0 && (begin[length] == 'e' || begin[length] == 'E')) {
      size_t exponent = length + 1;
      if (begin[exponent] == '-' || begin[exponent] == '+') ++exponent;
      if (std::isdigit(static_cast<unsigned char>(begin[exponent]))) {
        while (std::isdigit(static_cast<unsigned char>(begin[exponent]))) ++exponent;
        length = exponent;
      }
    }
    if (length == 0) fail(position_, std::string("expected ") + what);
    const std::string word(begin, length);
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (*end != '\0') fail(position_ + (end - word.c_str()), std::string("this is not part of a number"));
    // Beyond these the curve's own arithmetic overflows.
    if (value > 1e30) fail(position_, "this number is too large, expected at most 1e30");
    if (value > 0 && value < 1e-30) fail(position_, "this number is too small, expected 0 or at least 1e-30");
    position_ += length;
    return value;
  }

  bool accept(const char* token) {
    skip_space();
    const size_t length = std::char_traits<char>::length(token);
    if (text_.compare(position_, length, token) != 0) return false;
    position_ += length;
    return true;
  }

  void skip_space() {
    while (position_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[position_]))) ++position_;
  }

  [[noreturn]] void fail(size_t at, const std::string& why) const {
    // Line breaks and tabs would move the caret away from its character.
    std::string line = text_;
    for (char& c : line)
      if (std::isspace(static_cast<unsigned char>(c))) c = ' ';
    throw InvalidArgumentError("learning rate strategy, character " + std::to_string(at + 1) + ": " + why + "\n  " +
                               line + "\n  " + std::string(at, ' ') + "^\n" +
                               "write END_EPOCH:VALUE entries with ',' between, e.g. 5:0.1->0.4,10:0.4=>0.8,15:0.8");
  }

  const std::string& text_;
  size_t position_ = 0;
};

// Every kind of piece is a + b*t + c*exp(d*t) + e*cos(pi*t) with t from 0 to 1 over the piece: one formula, one row a
// piece.
constexpr int kColumns = 7;  // first step, 1 / steps, a, b, c, d, e
tf::Tensor curve_table(const std::vector<LrPiece>& pieces, double steps_per_epoch) {
  tf::Tensor table(tf::DT_DOUBLE, {static_cast<int64_t>(pieces.size()), kColumns});
  auto rows = table.matrix<double>();
  for (size_t i = 0; i < pieces.size(); ++i) {
    const LrPiece& piece = pieces[i];
    const bool exponential = piece.kind == LrPiece::kExponential;
    rows(i, 0) = piece.start_epoch * steps_per_epoch;
    rows(i, 1) = 1 / ((piece.end_epoch - piece.start_epoch) * steps_per_epoch);
    const bool wave = piece.kind == LrPiece::kCosine;
    rows(i, 2) = exponential ? 0 : wave ? (piece.start_value + piece.end_value) / 2 : piece.start_value;
    rows(i, 3) = exponential || wave ? 0 : piece.end_value - piece.start_value;
    rows(i, 4) = exponential ? piece.start_value : 0;
    rows(i, 5) = exponential ? std::log(piece.end_value / piece.start_value) : 0;
    rows(i, 6) = wave ? (piece.start_value - piece.end_value) / 2 : 0;
  }
  return table;
}

tf::Output build_piecewise(const Scope& parent, const std::vector<LrPiece>& pieces, int64_t steps) {
  tf::Tensor ends(tf::DT_DOUBLE, {static_cast<int64_t>(pieces.size())});
  for (size_t i = 0; i < pieces.size(); ++i) ends.vec<double>()(i) = pieces[i].end_epoch * steps;
  const Scope scope = parent.with(parent.NewSubScope("piecewise_lr"));
  const tf::Output step = ops::Cast(scope, get_or_create_global_step(scope).value, tf::DT_DOUBLE);
  // The number of pieces that are over is the index of the current one; the last holds for ever.
  const tf::Output over = ops::Cast(scope, ops::GreaterEqual(scope, step, tf::Input::Initializer(ends)), tf::DT_INT32);
  const tf::Output index = ops::Minimum(scope, ops::Sum(scope, over, 0), static_cast<int>(pieces.size()) - 1);
  const tf::Output row = ops::GatherV2(scope, tf::Input::Initializer(curve_table(pieces, steps)), index, 0);
  const auto column = ops::Unstack(scope, row, kColumns);
  const tf::Output t = ops::Minimum(scope, ops::Multiply(scope, ops::Subtract(scope, step, column[0]), column[1]), 1.0);
  const tf::Output line = ops::Add(scope, column[2], ops::Multiply(scope, column[3], t));
  const tf::Output bend = ops::Multiply(scope, column[4], ops::Exp(scope, ops::Multiply(scope, column[5], t)));
  const bool waves =
      std::any_of(pieces.begin(), pieces.end(), [](const LrPiece& piece) { return piece.kind == LrPiece::kCosine; });
  tf::Output sum = ops::Add(scope, line, bend);
  if (waves)
    sum = ops::Add(scope, sum,
                   ops::Multiply(scope, column[6], ops::Cos(scope, ops::Multiply(scope, t, std::numbers::pi))));
  const tf::Output rate = ops::Cast(scope.WithOpName("learning_rate"), sum, tf::DT_FLOAT);
  check(scope, "building piecewise_lr");
  return rate;
}

}  // namespace

std::vector<LrPiece> parse_lr_strategy(const std::string& strategy) { return StrategyParser(strategy).parse(); }

double piecewise_lr_at(const std::vector<LrPiece>& pieces, double epoch) {
  if (pieces.empty()) throw InvalidArgumentError("piecewise_lr_at: the strategy has no entry");
  for (const LrPiece& piece : pieces) {
    if (epoch >= piece.end_epoch) continue;
    const double t = (epoch - piece.start_epoch) / (piece.end_epoch - piece.start_epoch);
    if (piece.kind == LrPiece::kExponential)
      return piece.start_value * std::pow(piece.end_value / piece.start_value, t);
    if (piece.kind == LrPiece::kCosine)
      return piece.end_value + (piece.start_value - piece.end_value) * (1 + std::cos(std::numbers::pi * t)) / 2;
    return piece.start_value + (piece.end_value - piece.start_value) * t;
  }
  return pieces.back().end_value;
}

int64_t steps_per_epoch(int64_t num_samples, int64_t global_batch_size) {
  if (num_samples <= 0)
    throw InvalidArgumentError("piecewise_lr: num_samples is " + std::to_string(num_samples) +
                               ", expected the number of training samples (1 or more)");
  if (global_batch_size <= 0)
    throw InvalidArgumentError("piecewise_lr: global_batch_size is " + std::to_string(global_batch_size) +
                               ", expected batch_size * num_gpus * workers (1 or more)");
  return (num_samples - 1) / global_batch_size + 1;
}

tf::Output piecewise_lr(const Scope& scope, const std::string& strategy, int64_t num_samples,
                        int64_t global_batch_size) {
  return build_piecewise(scope, parse_lr_strategy(strategy), steps_per_epoch(num_samples, global_batch_size));
}

LearningRate piecewise_lr(const std::string& strategy, int64_t num_samples, int64_t global_batch_size) {
  return LearningRate::Schedule([pieces = parse_lr_strategy(strategy),
                                 steps = steps_per_epoch(num_samples, global_batch_size)](const Scope& scope) {
    return build_piecewise(scope, pieces, steps);
  });
}

}  // namespace mox::learning_rate_scheduler
