#!/usr/bin/env bash
# The interop suites and a storm beside other versions of Gambas than the machine's: each from a Debian suite, in a private root that is
# made once and kept. `run-versions.sh [SUITE...]`, trixie (3.20) and sid (the newest) by default. Needs a build in dist/.
# A version that cannot be had is skipped loudly; with GAMBAS_SESSION_REQUIRE_GAMBAS=1 that is a failure.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=node_modules/.cache/gambas-session
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
passed=0
failed=0
summary=()

# Runs a command and shows its output, which is then in $log.
show() {
  "$@" 2>&1 | tee "$log"
}

meet() {
  local suite="$1" root="$cache/gambas-$1" version cases storms
  if ! version="$(test/gambas/build-root.sh "$suite" "$root" 2>"$log")" && [ ! -d "$root" ]; then
    summary+=("*** SKIPPED: the Gambas of $suite cannot be had: $(tail -n 1 "$log")")
    [ "${GAMBAS_SESSION_REQUIRE_GAMBAS:-0}" != 1 ] || { failed=$((failed + 1)); status=1; }
    return
  fi
  version="${version:-$(chroot "$root" /usr/bin/gbr3 --version)}"
  export GAMBAS_SESSION_TEST_ROOT="$root"
  echo "=== Gambas $version ($suite)"
  show npx vitest run test/gambas || status=1
  cases="$(sed -n 's/^interop cases run: //p' "$log" | tail -n 1)"
  read -r ok bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' "$log" | tail -n 1)
  passed=$((passed + ${ok:-0}))
  failed=$((failed + ${bad:-1}))
  show node dist/test/storms/beside-gambas.js --workers 4 --transactions 400 --reads 10000 --saves 500 --abandons 50 || status=1
  storms="$(grep -c '^ok ' "$log")"
  passed=$((passed + storms))
  failed=$((failed + $(grep -c '^WRONG ' "$log")))
  summary+=("Gambas $version: interop cases run: ${cases:-0}, storms right: $storms")
  [ "${cases:-0}" -gt 0 ] && [ "$storms" -gt 0 ] || status=1
  unset GAMBAS_SESSION_TEST_ROOT
}

suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=(trixie sid)
for suite in "${suites[@]}"; do meet "$suite"; done
printf '%s\n' "${summary[@]}"
echo "versions: $passed passed, $failed failed"
exit "$status"
