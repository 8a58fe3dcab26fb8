// Commands that need the engine. Each is a file in this folder and a line in entry.cc's table.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox::cli {}  // namespace mox::cli
