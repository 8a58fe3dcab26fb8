// The page of `mox report`.
#pragma once

#include <string>

#include "engine/run_folder.h"

namespace mox::cli {

// One HTML file that needs nothing else: curves as SVG, pictures as data, styles inside.
std::string report_page(const RunFolder& run, const std::string& title);

}  // namespace mox::cli
