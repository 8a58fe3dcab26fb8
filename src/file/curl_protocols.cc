// curl's archive also speaks LDAP, RTMP and SSH, and so wants their libraries, which want a second OpenSSL, GnuTLS and
// more: four of the eleven MiB of `mox file ls`. http.cc allows http and https only. What is defined here,
// the linker does not take from the archive, and with it go those libraries. A curl that lacks one of these names does
// not mind.
#include <cstddef>
#include <cstdio>

namespace {

// curl looks at the scheme, which comes first, and at the protocol's bit, which is none of those that http.cc allows.
struct UnusedHandler {
  const char* scheme;
  void* rest[63];
};

}  // namespace

extern "C" {

extern const UnusedHandler Curl_handler_ldap, Curl_handler_ldaps, Curl_handler_rtmp, Curl_handler_rtmpe,
    Curl_handler_rtmps, Curl_handler_rtmpt, Curl_handler_rtmpte, Curl_handler_rtmpts, Curl_handler_scp,
    Curl_handler_sftp;
const UnusedHandler Curl_handler_ldap{"ldap", {}};
const UnusedHandler Curl_handler_ldaps{"ldaps", {}};
const UnusedHandler Curl_handler_rtmp{"rtmp", {}};
const UnusedHandler Curl_handler_rtmpe{"rtmpe", {}};
const UnusedHandler Curl_handler_rtmps{"rtmps", {}};
const UnusedHandler Curl_handler_rtmpt{"rtmpt", {}};
const UnusedHandler Curl_handler_rtmpte{"rtmpte", {}};
const UnusedHandler Curl_handler_rtmpts{"rtmpts", {}};
const UnusedHandler Curl_handler_scp{"scp", {}};
const UnusedHandler Curl_handler_sftp{"sftp", {}};

int Curl_ssh_init() { return 0; }
void Curl_ssh_cleanup() {}
void Curl_ssh_version(char* buffer, size_t size) { std::snprintf(buffer, size, "no SSH"); }

// curl_version() asks OpenLDAP for its version: there is none to tell.
int ldap_get_option(void*, int, void*) { return -1; }
void ldap_memfree(void*) {}
void ber_memvfree(void**) {}

}  // extern "C"
