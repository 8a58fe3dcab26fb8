#!/bin/sh
# curl.sh FOLDER STUBS: builds libcurl.a in FOLDER/lib, with OpenSSL and nothing else, of the source package of the libcurl whose headers are
# installed: the distribution's patches are in it, and apt has checked its signature. Of a released curl instead: CURL_SOURCE=its folder.
# Done in a second when FOLDER has it.
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd)
stubs=$2

version=$(dpkg-query -W -f '${source:Version}' libcurl4-openssl-dev 2>/dev/null || echo none)
stamp="${CURL_SOURCE:-$version} $(cksum < "$0")"
[ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=${CURL_SOURCE:-}
if [ -z "$source" ]; then
  scripts/apt_install.sh dpkg-dev
  # The machine's own sources of packages, asked for source code: their lists go to a folder of ours.
  mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] && grep -qiE 'debian|ubuntu' "$file" && sed 's/^Types:.*/Types: deb-src/' "$file" > "$work/parts/$(basename "$file")"
  done
  [ ! -f /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list > "$work/list"
  touch "$work/list"
  apt="-o Dir::Etc::SourceList=$work/list -o Dir::Etc::SourceParts=$work/parts -o Dir::State::Lists=$work/lists -o APT::Sandbox::User=root"
  # shellcheck disable=SC2086  # options
  (cd "$work" && apt-get $apt update -q -q && apt-get $apt source -q -q --download-only "curl=$version" && dpkg-source -x curl_*.dsc source) \
    > "$work/log" 2>&1 || { cat "$work/log" >&2; echo "curl.sh: the source package curl $version cannot be had; name a curl's source in CURL_SOURCE" >&2; exit 1; }
  source=$work/source
fi

# HTTP and TLS: no second protocol, no compression (objects are read as they are), no names of other alphabets, no Kerberos.
# The certificates of the system are found when it runs (src/file/config.cc).
cmake -G Ninja -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE="-O2 -DNDEBUG" \
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_EXE_LINKER_FLAGS="-L$stubs" -DBUILD_SHARED_LIBS=OFF -DBUILD_CURL_EXE=OFF \
  -DBUILD_TESTING=OFF -DENABLE_MANUAL=OFF -DHTTP_ONLY=ON -DCURL_USE_OPENSSL=ON -DCURL_USE_LIBSSH2=OFF -DCURL_USE_LIBPSL=OFF \
  -DUSE_LIBIDN2=OFF -DCURL_ZLIB=OFF -DUSE_NGHTTP2=OFF -DCURL_DISABLE_ALTSVC=ON -DCURL_DISABLE_HSTS=ON -DCURL_CA_BUNDLE=none \
  -DCURL_CA_PATH=none -DCMAKE_INSTALL_PREFIX="$folder" -DCMAKE_INSTALL_LIBDIR=lib > "$work/log" 2>&1 &&
  ninja -C "$work/build" -j "${JOBS:-2}" install >> "$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; exit 1; }
echo "$stamp" > "$folder/stamp"
