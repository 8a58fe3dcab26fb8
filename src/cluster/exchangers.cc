#include "cluster/exchangers.h"

#include <map>

#include "base/mutex.h"

namespace mox::cluster {
namespace {

struct Table {
  Mutex mutex;
  int64_t last MOX_GUARDED_BY(mutex) = 0;
  std::map<int64_t, Exchanger*> entries MOX_GUARDED_BY(mutex);
};

Table& table() {
  static Table* table = new Table;
  return *table;
}

}  // namespace

ExchangerNumber::ExchangerNumber() {
  const MutexLock lock(table().mutex);
  number_ = ++table().last;
}

ExchangerNumber::~ExchangerNumber() { set(nullptr); }

void ExchangerNumber::set(Exchanger* exchanger) {
  const MutexLock lock(table().mutex);
  if (exchanger)
    table().entries[number_] = exchanger;
  else
    table().entries.erase(number_);
}

Exchanger* find_exchanger(int64_t number) {
  const MutexLock lock(table().mutex);
  const auto found = table().entries.find(number);
  return found == table().entries.end() ? nullptr : found->second;
}

}  // namespace mox::cluster
