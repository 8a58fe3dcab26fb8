// What a store answers may be anything: it is understood, or refused with a DataError; nothing else may happen.
#include <cstdint>
#include <cstdlib>
#include <pugixml.hpp>
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
  for (const char* root : {"CopyObjectResult", "CopyPartResult", "CompleteMultipartUploadResult", "DeleteResult"})
    if (f::answer_problem(xml, root).empty() && xml.find(root) == std::string::npos) std::abort();
  parse_or_refuse([&] {
    const f::S3Page page = f::parse_list(xml);
    for (const f::S3Object& object : page.objects)
      if (object.size < 0) std::abort();
  });
  parse_or_refuse([&] { f::parse_parts(xml); });
  parse_or_refuse([&] { f::parse_uploads(xml); });
  parse_or_refuse([&] { f::parse_delete_failures(xml); });
  parse_or_refuse([&] { f::parse_field(xml, "UploadId"); });
  parse_or_refuse([&] { f::parse_location(xml); });
  f::url_decode(xml);
  f::parse_time_nsec(xml);
  f::complete_body({{1, 5, xml, xml}}, true);
  // A key that we write into a request must come back as it is, or the store removes another one.
  if (f::xml_carries(xml)) {
    const std::string body = f::delete_body({xml});
    pugi::xml_document document;
    if (!document.load_buffer(body.data(), body.size())) std::abort();
    if (document.child("Delete").child("Object").child("Key").child_value() != xml) std::abort();
  }
  return 0;
}
