#!/bin/sh
# deb.sh BUILD DIST: mox_*.deb (the program and its libraries) and libmoxing-dev_*.deb (headers, CMake and pkg-config files) of a
# portable build tree. They need no other package but the C and C++ runtime; to train, TensorFlow comes from pip.
set -eu
cd "$(dirname "$0")/.."
build=$1 dist=$2
version=$(sed -n 's/.*MOXING_VERSION "\(.*\)"/\1/p' include/moxing/version.h)
architecture=$(dpkg --print-architecture)
stage=$build/deb
rm -rf "$stage"
mkdir -p "$stage" "$dist"
stage=$(cd "$stage" && pwd)

cmake --install "$build" --prefix "$stage/all/usr" --strip > /dev/null
# Libraries lie where the loader looks; a path beside /usr would be somebody else's.
cat > "$stage/rpath.cmake" <<'END'
file(GLOB libraries ${FOLDER}/lib/libmox*.so*)
foreach(library ${libraries})
  if(NOT IS_SYMLINK ${library})
    file(RPATH_SET FILE ${library} NEW_RPATH "$ORIGIN")
  endif()
endforeach()
END
cmake -DFOLDER="$stage/all/usr" -P "$stage/rpath.cmake"
packaging/check_binaries.py "$stage/all/usr"

take() { # take PACKAGE PATH…: moves what lies under all/usr
  package=$1
  shift
  for path in "$@"; do
    mkdir -p "$stage/$package/usr/$(dirname "$path")"
    mv "$stage/all/usr/$path" "$stage/$package/usr/$path"
  done
}
take libmoxing-dev include lib/cmake lib/pkgconfig lib/libmoxing.so lib/libmoxing_file.so
rm -rf "$stage/all/usr/share"
take mox bin lib
for package in mox libmoxing-dev; do
  mkdir -p "$stage/$package/DEBIAN" "$stage/$package/usr/share/doc/$package"
  cp LICENSE "$stage/$package/usr/share/doc/$package/copyright"
done
for part in libcurl4-openssl-dev libssl-dev libpugixml-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev zlib1g-dev libjpeg62-turbo-dev; do
  [ ! -f /usr/share/doc/$part/copyright ] || cp /usr/share/doc/$part/copyright "$stage/mox/usr/share/doc/mox/$part.copyright"
done

control() { # control PACKAGE SECTION DEPENDS SUMMARY DESCRIPTION
  cat > "$stage/$1/DEBIAN/control" <<END
Package: $1
Version: $version
Architecture: $architecture
Section: $2
Priority: optional
Maintainer: MoXing contributors <moxing@invalid>
Installed-Size: $(du -sk "$stage/$1/usr" | cut -f1)
Depends: $3
Recommends: ca-certificates
Description: $4
 $5
END
  chmod -R u=rwX,go=rX "$stage/$1"
}
runtime="libc6 (>= 2.27), libstdc++6 (>= 7), libgcc-s1 | libgcc1"
control mox utils "$runtime" "train image networks; move files to and from object stores" \
  "The program mox and the libraries libmoxing, libmoxing_file. Training needs TensorFlow 2.21 of pip (tensorflow-cpu) in the active Python, or its folder in TENSORFLOW_DIR."
control libmoxing-dev libdevel "mox (= $version)" "headers of MoXing" "The C++ headers, CMake files and pkg-config files of MoXing."
echo "activate-noawait ldconfig" > "$stage/mox/DEBIAN/triggers"
for package in mox libmoxing-dev; do
  dpkg-deb --root-owner-group -Zxz --build "$stage/$package" "$dist" > /dev/null
  ls -l "$dist/${package}_${version}_$architecture.deb"
done
