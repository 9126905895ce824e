#!/usr/bin/env bash
# The suites of the Redis backend, of what is taken along to it, and the small storms, on other servers than the machine's: each from a Debian suite, unpacked once into a private
# place and kept. `run-versions.sh [SUITE:PACKAGE...]`, by default the Redis and the Valkey of trixie and of sid. Needs a build in dist/.
# A server that cannot be had is skipped loudly; with GAMBAS_SESSION_REQUIRE_GAMBAS=1 that is a failure.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
cache="$PWD/node_modules/.cache/gambas-session"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
passed=0
failed=0
summary=()

# The program of the root under its usual name, with the libraries of the root: tests find it on the PATH.
wrap() {
  local root="$1" name="$2" program="$3" loader
  loader="$(find "$root/usr/lib" -name 'ld-linux*.so.*' 2>/dev/null | head -n 1)"
  mkdir -p "$root/programs"
  printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$loader" "$(dirname "$(find "$root/usr/lib" -name 'libc.so.6' | head -n 1)")" \
    "$root/usr/bin/$program" >"$root/programs/$name"
  chmod 755 "$root/programs/$name"
}

meet() {
  local suite="${1%%:*}" package="${1##*:}" root version ok bad
  root="$cache/$package-$suite"
  if ! test/gambas/build-root.sh "$suite" "$root" "$package-server" "$package-tools" >"$log" 2>&1; then
    summary+=("*** SKIPPED: the $package of $suite cannot be had: $(tail -n 1 "$log")")
    [ "${GAMBAS_SESSION_REQUIRE_GAMBAS:-0}" != 1 ] || { failed=$((failed + 1)); status=1; }
    return
  fi
  wrap "$root" redis-server "$package-server"
  wrap "$root" redis-cli "$package-cli"
  version="$("$root/programs/redis-server" --version | sed -E 's/.* v=([^ ]+).*/\1/')"
  echo "=== $package $version ($suite)"
  PATH="$root/programs:$PATH" npx vitest run test/daemon/redis test/daemon/convert/convert.test.ts test/client/http/adoption.test.ts \
    test/whole/hosts/two-hosts.test.ts 2>&1 | tee "$log"
  [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
  read -r ok bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' "$log" | tail -n 1)
  passed=$((passed + ${ok:-0}))
  failed=$((failed + ${bad:-1}))
  summary+=("$package $version ($suite): ${ok:-0} passed, ${bad:-1} failed")
}

servers=("$@")
[ "${#servers[@]}" -gt 0 ] || servers=(trixie:redis trixie:valkey sid:redis sid:valkey)
for server in "${servers[@]}"; do meet "$server"; done
printf '%s\n' "${summary[@]}"
echo "versions: $passed passed, $failed failed"
exit "$status"
