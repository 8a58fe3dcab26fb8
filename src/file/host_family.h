// Names of hosts: which ones are one store.
#pragma once

#include <string>
#include <utility>

namespace mox::file {

// "a.b:80" is {"a.b", ":80"}.
std::pair<std::string, std::string> split_port(const std::string& host);

// "s3.eu-west-1.amazonaws.com" is in "eu-west-1", "s3.amazonaws.com" in us-east-1; "" for what is no public cloud's
// store.
std::string region_of_host(const std::string& host);
// The same cloud's store of another region; "" for the same one, and for what is no public cloud's store.
std::string host_in_region(const std::string& host, const std::string& region);

// Whether keys for `host` may go to `other` (both host[:port]): the same host, one below it, another endpoint of the
// same public cloud, or one that shares three components of the name.
bool same_host_family(const std::string& host, const std::string& other);

}  // namespace mox::file
