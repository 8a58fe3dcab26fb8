#include "file/s3_xml.h"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <pugixml.hpp>

#include "base/printable.h"
#include "moxing/error.h"

namespace mox::file {
namespace {

// Some servers put a namespace prefix before the names.
std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

pugi::xml_node child(const pugi::xml_node& parent, std::string_view name) {
  for (const pugi::xml_node& node : parent.children())
    if (local_name(node) == name) return node;
  return {};
}

// All of its text: CDATA and comments may cut it in pieces.
std::string text_of(const pugi::xml_node& node) {
  std::string text;
  for (const pugi::xml_node& piece : node.children())
    if (piece.type() == pugi::node_pcdata || piece.type() == pugi::node_cdata) text += piece.value();
  return text;
}

std::string field(const pugi::xml_node& parent, std::string_view name) { return text_of(child(parent, name)); }

template <typename Visit>
void for_each_child(const pugi::xml_node& parent, std::string_view name, const Visit& visit) {
  for (const pugi::xml_node& node : parent.children())
    if (local_name(node) == name) visit(node);
}

// Whether a listing goes on, which decides what is taken for gone: a word that is neither is no end. nullopt: not told.
std::optional<bool> truncated(const pugi::xml_node& root) {
  const std::string text = field(root, "IsTruncated");
  if (text.empty()) return std::nullopt;
  if (text == "true" || text == "True" || text == "TRUE" || text == "1") return true;
  if (text == "false" || text == "False" || text == "FALSE" || text == "0") return false;
  throw DataError("the store's listing has IsTruncated '" + text + "', expected true or false");
}

// -1 when it is none.
int64_t number(const std::string& text) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  return end != text.c_str() && *end == 0 && value >= 0 ? value : -1;
}

int part_number(const std::string& text) {
  const int64_t value = number(text);
  return value > 0 && value <= INT_MAX ? static_cast<int>(value) : 0;
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

// parse_ws_pcdata_single keeps a key that is one space. Without parse_eol a carriage return stays what it is: stores
// that do not encode keys write it as it is.
constexpr unsigned kParsing = (pugi::parse_default & ~pugi::parse_eol) | pugi::parse_ws_pcdata_single;

pugi::xml_node load(pugi::xml_document* document, const std::string& xml, const char* what) {
  const auto result = document->load_buffer(xml.data(), xml.size(), kParsing, pugi::encoding_utf8);
  const pugi::xml_node root = document->document_element();
  if (!result || !root)
    throw DataError(std::string("the store's answer to ") + what + " is not the XML that was expected (" +
                    result.description() + ", " + std::to_string(xml.size()) + " bytes): " + xml.substr(0, 120));
  return root;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)  // a bare line end would be read as another one
      result += "&#" + std::to_string(static_cast<int>(c)) + ";";
    else
      result += c;
  }
  return result;
}

void expect_root(const pugi::xml_node& root, const char* name, const std::string& xml) {
  if (local_name(root) != name)
    throw DataError(std::string("the store's answer is <") + root.name() + ">, expected <" + name +
                    ">: " + xml.substr(0, 120));
}

}  // namespace

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

S3Error parse_error(const std::string& xml) {
  pugi::xml_document document;
  S3Error error;
  if (!document.load_buffer(xml.data(), xml.size(), kParsing, pugi::encoding_utf8)) return error;
  const pugi::xml_node root = document.document_element();
  if (local_name(root) != "Error") return error;
  error.code = field(root, "Code");
  error.message = field(root, "Message");
  error.request_id = field(root, "RequestId");
  error.resource = field(root, "Resource");
  error.region = field(root, "Region");
  error.endpoint = field(root, "Endpoint");
  error.server_time = field(root, "ServerTime");
  return error;
}

std::string answer_problem(const std::string& xml, const char* root) {
  const std::string expected = std::string(", expected <") + root + ">";
  if (xml.find_first_not_of(" \t\r\n") == std::string::npos) return "the answer is empty" + expected;
  pugi::xml_document document;
  const bool parsed = document.load_buffer(xml.data(), xml.size(), kParsing, pugi::encoding_utf8);
  const std::string_view name = local_name(document.document_element());
  if (parsed && name == root) return "";
  if (parsed && name == "Error") {
    const S3Error error = parse_error(xml);
    return "the answer says " + (error.code.empty() ? "<Error>" : error.code) +
           (error.message.empty() ? "" : ": " + error.message);
  }
  return "the answer begins with '" + xml.substr(0, 60) + "'" + expected;
}

S3Page parse_list(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "a listing");
  expect_root(root, "ListBucketResult", xml);
  S3Page page;
  page.encoding_told = field(root, "EncodingType") == "url";
  const auto decode = [&page](const std::string& text) { return page.encoding_told ? url_decode(text) : text; };
  for_each_child(root, "Contents", [&](const pugi::xml_node& item) {
    const int64_t size = number(field(item, "Size"));
    page.objects.push_back({decode(field(item, "Key")), std::max<int64_t>(0, size),
                            parse_time_nsec(field(item, "LastModified")), unquoted(field(item, "ETag")), size >= 0});
  });
  for_each_child(root, "CommonPrefixes",
                 [&](const pugi::xml_node& item) { page.prefixes.push_back(decode(field(item, "Prefix"))); });
  page.next = field(root, "NextContinuationToken");
  const std::optional<bool> goes_on = truncated(root);
  if (!goes_on && page.next.empty() && page.objects.empty() && page.prefixes.empty())
    throw DataError("the store's listing has no entry, and no IsTruncated that says that this is its end: " +
                    xml.substr(0, 120));
  page.truncated = goes_on.value_or(!page.next.empty());
  if (page.next.empty()) page.next = decode(field(root, "NextMarker"));
  if (page.next.empty() && page.truncated) {
    page.next_is_name = true;
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
  for_each_child(root, "Part", [&](const pugi::xml_node& item) {
    page.parts.push_back({part_number(field(item, "PartNumber")), std::max<int64_t>(0, number(field(item, "Size"))),
                          field(item, "ETag"), field(item, "ChecksumCRC32C")});
  });
  page.truncated = truncated(root).value_or(false);
  page.next = part_number(field(root, "NextPartNumberMarker"));
  return page;
}

S3UploadPage parse_uploads(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "a listing of uploads");
  expect_root(root, "ListMultipartUploadsResult", xml);
  const bool encoded = field(root, "EncodingType") == "url";
  const auto decode = [encoded](const std::string& text) { return encoded ? url_decode(text) : text; };
  S3UploadPage page;
  for_each_child(root, "Upload", [&](const pugi::xml_node& item) {
    page.uploads.push_back(
        {decode(field(item, "Key")), field(item, "UploadId"), parse_time_nsec(field(item, "Initiated"))});
  });
  page.truncated = truncated(root).value_or(false);
  page.next_key = decode(field(root, "NextKeyMarker"));
  page.next_upload_id = field(root, "NextUploadIdMarker");
  return page;
}

std::string parse_field(const std::string& xml, const char* name) {
  pugi::xml_document document;
  return field(load(&document, xml, name), name);
}

std::string parse_location(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "where a bucket is");
  // Huawei's store has <CreateBucketConfiguration><Location>.
  std::string region = local_name(root) == "LocationConstraint" ? text_of(root) : field(root, "LocationConstraint");
  if (region.empty()) region = field(root, "Location");
  if (local_name(root) != "LocationConstraint" && region.empty()) expect_root(root, "LocationConstraint", xml);
  if (region == "EU") return "eu-west-1";  // what the first buckets of that region say
  return region.empty() ? "us-east-1" : region;
}

std::vector<DeleteFailure> parse_delete_failures(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_node root = load(&document, xml, "a removal of several objects");
  expect_root(root, "DeleteResult", xml);
  std::vector<DeleteFailure> failures;
  for_each_child(root, "Error", [&](const pugi::xml_node& item) {
    failures.push_back({field(item, "Key"), field(item, "Code"), field(item, "Message")});
  });
  return failures;
}

std::string complete_body(const std::vector<S3Part>& parts, bool with_checksums) {
  std::string body = "<CompleteMultipartUpload>";
  for (const S3Part& part : parts) {
    body += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>" + escaped(part.etag) + "</ETag>";
    if (with_checksums && !part.checksum.empty())
      body += "<ChecksumCRC32C>" + escaped(part.checksum) + "</ChecksumCRC32C>";
    body += "</Part>";
  }
  return body + "</CompleteMultipartUpload>";
}

std::string delete_body(const std::vector<std::string>& keys) {
  std::string body = "<Delete><Quiet>true</Quiet>";
  for (const std::string& key : keys) body += "<Object><Key>" + escaped(key) + "</Key></Object>";
  return body + "</Delete>";
}

bool xml_carries(const std::string& key) {
  const auto blank = [](char c) { return c == ' '; };
  if (key.empty() || blank(key.front()) || blank(key.back())) return false;
  for (const char c : key)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  // What is no UTF-8 comes back escaped; U+FFFE and U+FFFF are no characters of XML, U+0080 to U+009F not of all of it.
  if (printable_name(key) != key) return false;
  return key.find("\xEF\xBF\xBE") == std::string::npos && key.find("\xEF\xBF\xBF") == std::string::npos;
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
