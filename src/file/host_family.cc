#include "file/host_family.h"

#include <algorithm>

#include "base/text.h"

namespace mox::file {
namespace {

constexpr const char* kClouds[] = {".amazonaws.com", ".amazonaws.com.cn", ".myhuaweicloud.com"};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_address(const std::string& name) {
  return name.find(':') != std::string::npos || name.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

std::pair<std::string, std::string> split_port(const std::string& host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string::npos || host.find(']', colon) != std::string::npos) return {host, ""};
  return {host.substr(0, colon), host.substr(colon)};
}

std::string region_of_host(const std::string& host) {
  const std::string name = lower_case(split_port(host).first);
  for (const char* cloud : kClouds) {
    if (!ends_with(name, cloud)) continue;
    const bool huawei = std::string(cloud).find("huawei") != std::string::npos;
    std::string rest = name.substr(0, name.size() - std::string(cloud).size());
    const std::string first = huawei ? "obs" : "s3";
    if (rest == first) return huawei ? "" : "us-east-1";
    if (rest.compare(0, first.size(), first) != 0 || (rest[first.size()] != '.' && rest[first.size()] != '-'))
      return "";
    rest.erase(0, first.size() + 1);
    if (rest.rfind("dualstack.", 0) == 0) rest.erase(0, 10);
    if (rest == "external-1") return "us-east-1";
    // A region has no dots and ends with a digit: "us-gov-west-1". Machines of customers are named otherwise.
    const bool region = rest.size() > 3 && rest.find('.') == std::string::npos && std::isdigit(rest.back()) &&
                        std::count(rest.begin(), rest.end(), '-') >= 2 && rest.size() < 24;
    return region ? rest : "";
  }
  return "";
}

std::string host_in_region(const std::string& host, const std::string& region) {
  const std::string old = region_of_host(host);
  if (old.empty() || old == region) return "";
  for (const char* cloud : kClouds) {
    if (!ends_with(split_port(host).first, cloud)) continue;
    const bool huawei = std::string(cloud).find("huawei") != std::string::npos;
    return (huawei ? "obs." : "s3.") + region + cloud;
  }
  return "";
}

bool same_host_family(const std::string& host, const std::string& other) {
  const auto [a, port_a] = split_port(lower_case(host));
  const auto [b, port_b] = split_port(lower_case(other));
  if (b.empty() || port_a != port_b) return false;
  if (a == b) return true;
  if (is_address(a) || is_address(b)) return false;
  if (ends_with(b, "." + a)) return true;
  for (const char* cloud : kClouds)
    if (ends_with(a, cloud) && ends_with(b, cloud)) return !region_of_host(b).empty();
  // Fewer shared components may be a domain under which everybody can have a name.
  size_t shared = 0;
  for (size_t i = 1; i <= std::min(a.size(), b.size()) && a[a.size() - i] == b[b.size() - i]; ++i)
    if (const bool whole =
            (i == a.size() || a[a.size() - i - 1] == '.') && (i == b.size() || b[b.size() - i - 1] == '.');
        whole)
      ++shared;
  return shared >= 3;
}

}  // namespace mox::file
