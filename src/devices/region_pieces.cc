#include "devices/region_pieces.h"

#include <algorithm>
#include <iterator>

namespace mox {

RegionPieces::RegionPieces(char* begin, size_t bytes) : begin_(begin), bytes_(bytes) {
  const MutexLock lock(mutex_);
  add(begin, bytes);
}

char* RegionPieces::take(size_t bytes) {
  if (bytes > bytes_) return nullptr;
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const MutexLock lock(mutex_);
  const auto fit = by_size_.lower_bound({bytes, nullptr});
  if (fit == by_size_.end()) return nullptr;
  const auto [size, piece] = *fit;
  remove(free_.find(piece));
  if (size > bytes) add(piece + bytes, size - bytes);
  taken_.emplace(piece, bytes);
  return piece;
}

std::pair<char*, size_t> RegionPieces::take_behind(char* from, size_t most) {
  most = most / kAlignment * kAlignment;
  const MutexLock lock(mutex_);
  auto found = free_.upper_bound(from);
  if (found != free_.begin() && std::prev(found)->first + std::prev(found)->second > from) --found;
  if (found == free_.end() || most == 0) return {nullptr, 0};
  const auto [begin, size] = *found;
  char* const piece = std::max(begin, from);
  const size_t bytes = std::min(static_cast<size_t>(begin + size - piece), most);
  remove(found);
  if (piece > begin) add(begin, static_cast<size_t>(piece - begin));
  if (begin + size > piece + bytes) add(piece + bytes, static_cast<size_t>(begin + size - (piece + bytes)));
  taken_.emplace(piece, bytes);
  return {piece, bytes};
}

void RegionPieces::give_back(char* piece) {
  const MutexLock lock(mutex_);
  const auto taken = taken_.find(piece);
  char* begin = piece;
  char* end = piece + taken->second;
  taken_.erase(taken);
  auto after = free_.lower_bound(piece);
  if (after != free_.end() && after->first == end) {
    end += after->second;
    after = remove(after);
  }
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == begin) {
      begin = before->first;
      remove(before);
    }
  }
  add(begin, static_cast<size_t>(end - begin));
}

void RegionPieces::add(char* begin, size_t bytes) {
  free_.emplace(begin, bytes);
  by_size_.emplace(bytes, begin);
}

RegionPieces::Free::iterator RegionPieces::remove(Free::iterator piece) {
  by_size_.erase({piece->second, piece->first});
  return free_.erase(piece);
}

}  // namespace mox
