#!/usr/bin/env bash
# build-root.sh SUITE DIR [PACKAGE...]: unpacks the Gambas of another Debian suite, or other packages, and what they need into DIR, from the package
# source this machine has. Nothing of the machine's own packages is touched. DIR is complete or, when this fails, not there. Interop tests enter it by chroot.
set -euo pipefail
suite="$1"
target="$(realpath -m "$2")"
packages=("${@:3}")
version=()
if [ "${#packages[@]}" -eq 0 ]; then
  packages=(gambas3-runtime gambas3-gb-web gambas3-gb-util-web gambas3-gb-db gambas3-gb-db-sqlite3)
  version=(/usr/bin/gbr3 --version)
fi

source_uri() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -n 1
}

apt_apart() {
  apt-get -qq \
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/none" \
    -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root "$@"
}

main() {
  [ ! -d "$target" ] || exit 0
  mkdir -p "$(dirname "$target")"
  work="$(mktemp -d "$target.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/none" "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
  : >"$work/status"

  local uri
  uri="$(source_uri)"
  [ -n "$uri" ] || { echo "no package source: run apt-get update first" >&2; exit 1; }
  echo "deb $uri $suite main" >"$work/sources.list"
  apt_apart update
  apt_apart -y --download-only install "${packages[@]}" >/dev/null

  local deb
  for deb in "$work"/cache/archives/*.deb; do dpkg -x "$deb" "$work/root"; done
  # The packages that make these links when they are configured are only unpacked here.
  local name
  for name in bin sbin lib lib64; do
    [ -e "$work/root/$name" ] || { mkdir -p "$work/root/usr/$name"; ln -s "usr/$name" "$work/root/$name"; }
  done
  mkdir -p "$work/root"/{tmp,proc,dev,mnt,etc}
  chroot "$work/root" /usr/sbin/ldconfig 2>/dev/null || ldconfig -r "$work/root"
  [ "${#version[@]}" -eq 0 ] || chroot "$work/root" "${version[@]}"
  mv -T "$work/root" "$target"
}

main
