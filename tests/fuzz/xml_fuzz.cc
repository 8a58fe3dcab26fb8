// What a store answers may be anything: it is understood, or refused with a DataError; nothing else may happen.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "file/s3_xml.h"
#include "moxing/error.h"

namespace {

template <typename Parse>
void parse_or_refuse(Parse parse) {
  try {
    parse();
  } catch (const mox::DataError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace f = mox::file;
  const std::string xml(reinterpret_cast<const char*>(data), size);
  f::parse_error(xml);
  parse_or_refuse([&] {
    const f::S3Page page = f::parse_list(xml);
    for (const f::S3Object& object : page.objects)
      if (object.size < 0) std::abort();
  });
  parse_or_refuse([&] { f::parse_parts(xml); });
  parse_or_refuse([&] { f::parse_uploads(xml); });
  parse_or_refuse([&] { f::parse_delete_failures(xml); });
  parse_or_refuse([&] { f::parse_field(xml, "UploadId"); });
  f::parse_time_nsec(xml);
  // A key that we write into a request must come back as it is, or the store removes another one.
  f::delete_body({xml});
  return 0;
}
