// What a store says when bytes that were sent to it are stored.
#pragma once

#include <string>

#include "file/http.h"

namespace mox::file::s3 {

// Of an object or a part that was sent: "" when the answer says in the store's own form that it has it.
std::string stored_problem(const HttpResponse& response);

}  // namespace mox::file::s3
