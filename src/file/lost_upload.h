// What a store said it had, and has not: a server that died in the middle of completing an upload may answer the
// repeated request with success (versitygw does), although the object was never made.
#pragma once

#include "moxing/error.h"

namespace mox::file {

// All parts were sent; only sending them again helps.
class LostUpload : public DataError {
 public:
  using DataError::DataError;
};

}  // namespace mox::file
