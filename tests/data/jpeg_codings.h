// JPEG files in all the ways in which they are coded.
#pragma once

#include <jpeglib.h>

#include <cstdint>
#include <cstdio>  // jpeglib.h needs it before it
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace mox::test {

struct Coding {
  int width, height, quality, horizontal, vertical;  // sampling factors of the brightness
  unsigned restart_rows, restart_mcus;
  bool optimized, grey, progressive = false;
};

// A picture of noise and smooth parts, coded by libjpeg.
inline std::string encode(const Coding& coding) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = coding.width;
  info.image_height = coding.height;
  info.input_components = coding.grey ? 1 : 3;
  info.in_color_space = coding.grey ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, coding.quality, TRUE);
  info.comp_info[0].h_samp_factor = coding.horizontal;
  info.comp_info[0].v_samp_factor = coding.vertical;
  info.restart_in_rows = static_cast<int>(coding.restart_rows);
  info.restart_interval = coding.restart_mcus;
  info.optimize_coding = coding.optimized;
  if (coding.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  std::mt19937 random(static_cast<unsigned>(coding.width * 1000 + coding.quality));
  std::vector<uint8_t> row(static_cast<size_t>(coding.width) * info.input_components);
  for (int y = 0; y < coding.height; ++y) {
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = static_cast<uint8_t>((i / 40 + y / 30) % 3 == 0 ? random() : (i * i / 50 + y * 3) / (1 + i % 3));
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&info, &pointer, 1);
  }
  jpeg_finish_compress(&info);
  std::string content(reinterpret_cast<char*>(memory), size);
  jpeg_destroy_compress(&info);
  free(memory);
  return content;
}

inline std::vector<std::string> codings() {
  std::vector<std::string> contents;
  for (const auto [width, height] : {std::pair{1, 1}, {17, 23}, {251, 130}})
    for (int quality : {1, 40, 90, 100})
      for (const auto [horizontal, vertical] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}})
        for (const auto [rows, mcus] : {std::pair{0u, 0u}, {1u, 0u}, {0u, 1u}, {0u, 5u}})
          contents.push_back(encode(
              {width, height, quality, horizontal, vertical, rows, mcus, quality != 90, quality == 40 && mcus == 5}));
  return contents;
}

}  // namespace mox::test
