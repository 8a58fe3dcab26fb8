// The entropy decoder of baseline JPEG files, in place of libjpeg's: two thirds of the time of decoding is here.
// One look into a table gives code, run and value together (libjpeg-turbo: the code, then the value's bits), and the
// stuffing bytes are taken out beforehand, so that eight bytes are read at once. Same coefficients, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// jpeglib.h needs cstdio before it.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
// clang-format on

namespace mox::data {

// What decodes one image after the other; one a thread. Whatever is wrong with the coded data goes to libjpeg's
// error_exit, without a message: the caller decodes the file again with a decoder that tells what it is.
class JpegHuffman {
 public:
  // Takes the entropy decoding over, after jpeg_start_decompress and before the first row, when the whole file is in
  // memory. False, and libjpeg goes on by itself: several scans, arithmetic coding, or data without an end.
  bool take_over(jpeg_decompress_struct* info);

  // After the last row: was all the coded data used, as in a file that is whole?
  bool used_all() const;

 private:
  // Codes with their value, for nine of ten coefficients; larger tables were slower. Three looks need 31 + 2 x 10 of 56
  // bits.
  static constexpr int kLookBits = 10;
  static constexpr size_t kTables = NUM_HUFF_TBLS;

  struct Entry {
    int16_t value;   // of the coefficient; with kSlow the count of its bits
    uint8_t skip;    // zeros before it
    uint8_t length;  // bits of code and value; with kSlow of the code alone
  };
  // Added to `length`: the value's bits do not fit into the look. kLong, in its place: nor does the code.
  static constexpr uint8_t kSlow = 0x80, kLong = 0xFF;
  static constexpr uint8_t kEndOfBlock = 128, kNoCode = 192;  // as `skip`

  struct Table {
    Entry entries[1 << kLookBits];
    int32_t max_code[18];          // the largest code of each length, -1 without one
    int32_t offset[17];            // of its length's symbols, less their first code
    UINT8 bits[17], symbols[256];  // what it was made of
    bool made = false;
  };

  struct Reader {
    const uint8_t* next;  // to be read
    uint64_t bits;        // read and not used yet, from the top
    int count;            // of them
  };

  static boolean decode_mcu(j_decompress_ptr info, JBLOCKROW* blocks);
  static void make(const JHUFF_TBL& from, bool dc, Table* table);
  static Entry make_entry(UINT8 symbol, bool dc);
  static Entry settle(const Table& table, bool dc, Entry entry, uint64_t bits);
  static bool decode_block(const Table& dc, const Table& ac, Reader* reader, int* last_dc, JCOEF* block);
  bool remove_stuffing(const jpeg_source_mgr& source, const uint8_t** marker);
  bool choose_tables(const jpeg_decompress_struct& info);
  bool next_segment();
  bool segment_is_used() const;

  Table dc_[kTables], ac_[kTables];
  std::vector<uint8_t> data_;         // coded data of the scan, without stuffing and markers
  std::vector<size_t> segment_ends_;  // in data_: one a restart marker, and the last
  size_t segment_ = 0;
  Reader reader_{};
  int last_dc_[MAX_COMPS_IN_SCAN] = {};
  unsigned mcus_to_restart_ = 0;
  int blocks_ = 0;  // of an MCU, with their component and tables
  int component_[D_MAX_BLOCKS_IN_MCU];
  const Table *dc_of_[D_MAX_BLOCKS_IN_MCU], *ac_of_[D_MAX_BLOCKS_IN_MCU];
};

}  // namespace mox::data
