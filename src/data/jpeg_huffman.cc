#include "data/jpeg_huffman.h"

#include <bit>
#include <cstring>

extern "C" {
#include <jpegint.h>
}

namespace mox::data {

namespace {

// A block takes at most 64 codes of 16 bits with 15 more, and the end is checked after each MCU.
constexpr size_t kReadAhead = D_MAX_BLOCKS_IN_MCU * 64 * 4 + 16;
constexpr size_t kMostKept = size_t{8} << 20;  // bytes that a thread keeps for its next image

// Where the i-th coefficient of a block stands (ITU-T T.81, figure 5).
constexpr uint8_t kZigzag[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
                                 41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
                                 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// The coefficient that `size` bits stand for (T.81, F.2.2.1): a leading 0 is a negative one.
constexpr int extend(int bits, int size) { return size && bits < 1 << (size - 1) ? bits - (1 << size) + 1 : bits; }

[[noreturn]] void give_up(j_decompress_ptr info) {
  info->err->error_exit(reinterpret_cast<j_common_ptr>(info));
  __builtin_unreachable();
}

}  // namespace

// Its value is the count of the value's bits.
JpegHuffman::Entry JpegHuffman::make_entry(UINT8 symbol, bool dc) {
  if (dc) return {symbol, 0, 0};
  const int16_t size = symbol & 15;
  const uint8_t run = symbol >> 4;
  return {size, size == 0 && run != 15 ? kEndOfBlock : run, 0};
}

void JpegHuffman::make(const JHUFF_TBL& from, bool dc, Table* table) {
  if (table->made && !std::memcmp(table->bits, from.bits, sizeof from.bits) &&
      !std::memcmp(table->symbols, from.huffval, sizeof from.huffval))
    return;
  std::memcpy(table->bits, from.bits, sizeof from.bits);
  std::memcpy(table->symbols, from.huffval, sizeof from.huffval);
  table->made = true;
  for (Entry& entry : table->entries) entry = {0, 0, kLong};
  int code = 0, symbol = 0;
  for (int length = 1; length <= 16; ++length, code <<= 1) {
    table->offset[length] = symbol - code;
    for (int i = 0; i < from.bits[length]; ++i, ++code, ++symbol) {
      const int spare = kLookBits - length;
      if (spare < 0) continue;
      const Entry of_symbol = make_entry(from.huffval[symbol], dc);
      const int size = of_symbol.value;
      for (int rest = 0; rest < 1 << spare; ++rest) {
        Entry& entry = table->entries[code << spare | rest];
        if (size <= spare)
          entry = {static_cast<int16_t>(extend(rest >> (spare - size), size)), of_symbol.skip,
                   static_cast<uint8_t>(length + size)};
        else
          entry = {of_symbol.value, of_symbol.skip, static_cast<uint8_t>(kSlow | length)};
      }
    }
    table->max_code[length] = from.bits[length] ? code - 1 : -1;
  }
}

// An entry that the first look did not settle, from the next 32 bits or more; length 0: there is no such code.
// Apart, and without a reference to the reader, which stays in registers.
[[gnu::noinline]] JpegHuffman::Entry JpegHuffman::settle(const Table& table, bool dc, Entry entry, uint64_t bits) {
  int length = entry.length & ~kSlow;
  if (entry.length == kLong) {
    int code;
    for (length = kLookBits + 1;; ++length) {
      if (length > 16) return {0, kNoCode, 0};
      code = static_cast<int>(bits >> (64 - length));
      if (code <= table.max_code[length]) break;
    }
    const UINT8 symbol = table.symbols[(code + table.offset[length]) & 255];
    entry = make_entry(symbol, dc);
  }
  const int size = entry.value;
  if (size) entry.value = static_cast<int16_t>(extend(static_cast<int>(bits << length >> (64 - size)), size));
  entry.length = static_cast<uint8_t>(length + size);
  return entry;
}

bool JpegHuffman::decode_block(const Table& dc, const Table& ac, Reader* reader, int* last_dc, JCOEF* block) {
  const uint8_t* next = reader->next;
  uint64_t bits = reader->bits;
  int count = reader->count;
  const auto refill = [&] {  // to 56 bits or more
    uint64_t word;
    std::memcpy(&word, next, sizeof word);
    if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
    bits |= word >> count;
    next += (63 - count) >> 3;
    count |= 56;
  };
  const auto read = [&](const Table& table, bool is_dc) __attribute__((always_inline)) {
    Entry entry = table.entries[bits >> (64 - kLookBits)];
    if (entry.length & kSlow) [[unlikely]] {
      refill();
      entry = settle(table, is_dc, entry, bits);
    }
    bits <<= entry.length;
    count -= entry.length;
    return entry;
  };
  refill();
  Entry entry = read(dc, true);
  if (entry.length == 0) return false;
  *last_dc = static_cast<int>(static_cast<unsigned>(*last_dc) + static_cast<unsigned>(int{entry.value}));
  block[0] = static_cast<JCOEF>(*last_dc);
  int k = 0;
  const auto read_coefficient = [&]() __attribute__((always_inline)) {  // false: no more
    entry = read(ac, false);
    k += entry.skip + 1;
    if (k >= 64) return false;
    block[kZigzag[k]] = entry.value;
    return k < 63;
  };
  do refill();  // for three: 31 bits at most with the slow way, which refills, and twice kLookBits
  while (read_coefficient() && read_coefficient() && read_coefficient());
  *reader = {next, bits, count};
  return k < 64 || entry.skip == kEndOfBlock;
}

bool JpegHuffman::segment_is_used() const {
  const auto used_bits = (reader_.next - data_.data()) * 8 - reader_.count;
  return static_cast<size_t>(used_bits + 7) / 8 == segment_ends_[segment_];
}

bool JpegHuffman::next_segment() {
  if (!segment_is_used() || segment_ + 1 >= segment_ends_.size()) return false;
  reader_ = {data_.data() + segment_ends_[segment_++], 0, 0};
  std::memset(last_dc_, 0, sizeof last_dc_);
  return true;
}

boolean JpegHuffman::decode_mcu(j_decompress_ptr info, JBLOCKROW* blocks) {
  auto& self = *static_cast<JpegHuffman*>(info->client_data);
  if (info->restart_interval) {
    if (self.mcus_to_restart_ == 0) {
      if (!self.next_segment()) give_up(info);
      self.mcus_to_restart_ = info->restart_interval;
    }
    --self.mcus_to_restart_;
  }
  JBLOCK passed_over;  // rows that nobody wants come without blocks
  for (int i = 0; i < self.blocks_; ++i)
    if (!decode_block(*self.dc_of_[i], *self.ac_of_[i], &self.reader_, &self.last_dc_[self.component_[i]],
                      blocks ? *blocks[i] : passed_over))
      give_up(info);
  const auto used_bits = (self.reader_.next - self.data_.data()) * 8 - self.reader_.count;
  if (used_bits > static_cast<ptrdiff_t>(self.segment_ends_[self.segment_] * 8)) give_up(info);
  return TRUE;
}

// Copies the coded data up to the marker that ends the scan; FF 00 stands for FF (T.81, B.1.1.5).
bool JpegHuffman::remove_stuffing(const jpeg_source_mgr& source, const uint8_t** marker) {
  const uint8_t* from = source.next_input_byte;
  const uint8_t* const end = from + source.bytes_in_buffer;
  if (data_.size() > kMostKept) data_ = {};
  if (data_.size() < source.bytes_in_buffer + kReadAhead) data_.resize(source.bytes_in_buffer + kReadAhead);
  segment_ends_.clear();
  uint8_t* to = data_.data();
  while (true) {
    const auto* found = static_cast<const uint8_t*>(std::memchr(from, 0xFF, static_cast<size_t>(end - from)));
    if (!found || found + 1 == end) return false;
    const size_t count = static_cast<size_t>(found - from);
    std::memcpy(to, from, count);
    to += count;
    from = found + 2;
    if (found[1] == 0) {
      *to++ = 0xFF;
      continue;
    }
    segment_ends_.push_back(static_cast<size_t>(to - data_.data()));
    if (found[1] < JPEG_RST0 || found[1] > JPEG_RST0 + 7) {
      *marker = found;
      std::memset(to, 0, kReadAhead);
      return true;
    }
    if (found[1] != JPEG_RST0 + (segment_ends_.size() - 1) % 8) return false;
  }
}

bool JpegHuffman::choose_tables(const jpeg_decompress_struct& info) {
  blocks_ = info.blocks_in_MCU;
  for (int i = 0; i < blocks_; ++i) {
    component_[i] = info.MCU_membership[i];
    const jpeg_component_info& component = *info.cur_comp_info[component_[i]];
    const int dc = component.dc_tbl_no, ac = component.ac_tbl_no;
    if (!info.dc_huff_tbl_ptrs[dc] || !info.ac_huff_tbl_ptrs[ac]) return false;
    make(*info.dc_huff_tbl_ptrs[dc], true, &dc_[dc]);
    make(*info.ac_huff_tbl_ptrs[ac], false, &ac_[ac]);
    dc_of_[i] = &dc_[dc];
    ac_of_[i] = &ac_[ac];
  }
  return true;
}

bool JpegHuffman::take_over(jpeg_decompress_struct* info) {
  if (jpeg_has_multiple_scans(info) || info->progressive_mode || info->arith_code || info->data_precision != 8)
    return false;
  const uint8_t* marker = nullptr;
  if (!choose_tables(*info) || !remove_stuffing(*info->src, &marker)) return false;
  // Only with restarts may there be more than one segment.
  if (!info->restart_interval && segment_ends_.size() > 1) return false;
  info->src->bytes_in_buffer -= static_cast<size_t>(marker - info->src->next_input_byte);
  info->src->next_input_byte = marker;
  segment_ = 0;
  reader_ = {data_.data(), 0, 0};
  std::memset(last_dc_, 0, sizeof last_dc_);
  mcus_to_restart_ = info->restart_interval;
  info->client_data = this;
  info->entropy->decode_mcu = decode_mcu;
  return true;
}

bool JpegHuffman::used_all() const { return segment_ + 1 == segment_ends_.size() && segment_is_used(); }

}  // namespace mox::data
