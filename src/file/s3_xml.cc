#include "file/s3_xml.h"

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <pugixml.hpp>
#include <sstream>

#include "moxing/error.h"

namespace mox::file {
namespace {

// Some servers put a namespace prefix before the names.
std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string field(const pugi::xml_node& parent, const char* name) { return parent.child(name).child_value(); }

int64_t number(const std::string& text) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  return end != text.c_str() && *end == 0 && value > 0 ? value : 0;
}

std::string unquoted(std::string etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
  return etag;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What encoding-type=url did to a key.
std::string url_decode(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      result += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

pugi::xml_node load(pugi::xml_document* document, const std::string& xml, const char* what) {
  // parse_ws_pcdata_single keeps a key that is one space.
  const auto result = document->load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single,
                                            pugi::encoding_utf8);
  const pugi::xml_node root = document->document_element();
  if (!result || !root)
    throw DataError(std::string("the store's answer to ") + what + " is not the XML that was expected (" +
                    result.description() + ", " + std::to_string(xml.size()) + " bytes): " + xml.substr(0, 120));
  return root;
}

void expect_root(const pugi::xml_node& root, const char* name, const std::string& xml) {
  if (local_name(root) != name)
    throw DataError(std::string("the store's answer is <") + root.name() + ">, expected <" + name +
                    ">: " + xml.substr(0, 120));
}

}  // namespace

S3Error parse_error(const std::string& xml) {
  pugi::xml_document document;
  S3Error error;
  if (!document.load_buffer(xml.data(), xml.size())) return error;
  const pugi::xml_node root = document.document_element();
  if (local_name(root) != "Error") return error;
  error.code = field(root, "Code");
  error.message = field(root, "Message");
  error.request_id = field(root, "RequestId");
  error.resource = field(root, "Resource");
  error.region = field(root, "Region");
  return error;
}

S3Page parse_list(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "a listing");
  expect_root(root, "ListBucketResult", xml);
  const bool encoded = field(root, "EncodingType") == "url";
  const auto decode = [encoded](const std::string& text) { return encoded ? url_decode(text) : text; };
  S3Page page;
  for (const pugi::xml_node item : root.children("Contents")) {
    page.objects.push_back({decode(field(item, "Key")), number(field(item, "Size")),
                            parse_time_nsec(field(item, "LastModified")), unquoted(field(item, "ETag"))});
  }
  for (const pugi::xml_node item : root.children("CommonPrefixes"))
    page.prefixes.push_back(decode(field(item, "Prefix")));
  page.truncated = field(root, "IsTruncated") == "true";
  page.next = field(root, "NextContinuationToken");
  if (page.next.empty()) page.next = decode(field(root, "NextMarker"));
  if (page.next.empty() && page.truncated) {
    if (!page.objects.empty()) page.next = page.objects.back().key;
    if (!page.prefixes.empty() && page.prefixes.back() > page.next) page.next = page.prefixes.back();
    if (page.next.empty()) throw DataError("the store says that a listing goes on, but not where");
  }
  return page;
}

S3PartPage parse_parts(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "a listing of parts");
  expect_root(root, "ListPartsResult", xml);
  S3PartPage page;
  for (const pugi::xml_node item : root.children("Part"))
    page.parts.push_back({static_cast<int>(number(field(item, "PartNumber"))), number(field(item, "Size")),
                          field(item, "ETag"), field(item, "ChecksumCRC32C")});
  page.truncated = field(root, "IsTruncated") == "true";
  page.next = static_cast<int>(number(field(root, "NextPartNumberMarker")));
  return page;
}

std::vector<S3Upload> parse_uploads(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "a listing of uploads");
  expect_root(root, "ListMultipartUploadsResult", xml);
  const bool encoded = field(root, "EncodingType") == "url";
  std::vector<S3Upload> uploads;
  for (const pugi::xml_node item : root.children("Upload")) {
    const std::string key = field(item, "Key");
    uploads.push_back(
        {encoded ? url_decode(key) : key, field(item, "UploadId"), parse_time_nsec(field(item, "Initiated"))});
  }
  return uploads;
}

std::string parse_field(const std::string& xml, const char* name) {
  pugi::xml_document document;
  return field(load(&document, xml, name), name);
}

std::vector<DeleteFailure> parse_delete_failures(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "a removal of several objects");
  expect_root(root, "DeleteResult", xml);
  std::vector<DeleteFailure> failures;
  for (const pugi::xml_node item : root.children("Error"))
    failures.push_back({field(item, "Key"), field(item, "Code"), field(item, "Message")});
  return failures;
}

std::string complete_body(const std::vector<S3Part>& parts, bool with_checksums) {
  std::string body = "<CompleteMultipartUpload>";
  for (const S3Part& part : parts) {
    body += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>" + part.etag + "</ETag>";
    if (with_checksums && !part.checksum.empty()) body += "<ChecksumCRC32C>" + part.checksum + "</ChecksumCRC32C>";
    body += "</Part>";
  }
  return body + "</CompleteMultipartUpload>";
}

std::string delete_body(const std::vector<std::string>& keys) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("Delete");
  root.append_child("Quiet").text().set("true");
  for (const std::string& key : keys) root.append_child("Object").append_child("Key").text().set(key.c_str());
  std::ostringstream text;
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration);
  return text.str();
}

int64_t parse_time_nsec(const std::string& text) {
  std::tm parts{};
  int64_t nanoseconds = 0;
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest) {
    if (*rest == '.') {
      int64_t unit = 100000000;
      for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) nanoseconds += (*rest - '0') * unit;
    }
  } else if (!::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts)) {
    return 0;
  }
  const int64_t seconds = ::timegm(&parts);
  constexpr int64_t kMostSeconds = INT64_MAX / 1000000000 - 1;  // the year 2262
  if (seconds > kMostSeconds || seconds < -kMostSeconds) return 0;
  return seconds * 1000000000 + nanoseconds;
}

}  // namespace mox::file
