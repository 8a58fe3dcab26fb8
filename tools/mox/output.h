// Standard output, whose reader may go away and whose disk may be full.
#pragma once

#include <string>

namespace mox::cli {

// Before anything is printed: a closed pipe becomes an error of what writes to it, rather than the end of the process
// without a word, and a standard output or error that is closed is no file that is opened later.
void prepare_output();

// After a command has ended with `code`: what it printed is written out. Where that failed: a line on standard error
// that begins with `who`, and the code of a failure.
int finish_output(const std::string& who, int code);

}  // namespace mox::cli
