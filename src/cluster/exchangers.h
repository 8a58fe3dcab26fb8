// How an operation of a graph finds its process's exchanger: by a number that is an attribute of the operation.
#pragma once

#include <cstdint>

#include "cluster/exchanger.h"

namespace mox::cluster {

// A number for an exchanger, which may be made later than the graph. Known while it lives.
class MOX_EXPORT ExchangerNumber {
 public:
  ExchangerNumber();
  ~ExchangerNumber();
  ExchangerNumber(const ExchangerNumber&) = delete;
  ExchangerNumber& operator=(const ExchangerNumber&) = delete;

  int64_t number() const { return number_; }
  // nullptr: there is none any more. Not while a step runs.
  void set(Exchanger* exchanger);

 private:
  int64_t number_;
};

// nullptr when there is none.
MOX_EXPORT Exchanger* find_exchanger(int64_t number);

}  // namespace mox::cluster
