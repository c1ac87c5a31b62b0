#!/usr/bin/env bash
# Ask the public advisory database about every package of the lock. Exit code: 0 nothing is known against any,
# 1 something is known, 2 packages could not be asked about, as no advisory source answered for them.
set -uo pipefail
cd "$(dirname "$0")/.."
UV=${1:-uv}
locked=$(mktemp)
trap 'rm -f "$locked"' EXIT
grep -E '^[A-Za-z0-9._-]+==' requirements.txt | sed 's/ *\\$//' >"$locked"
total=$(wc -l <"$locked")
output=$("$UV" tool run --from pip-audit==2.10.1 pip-audit --no-deps --disable-pip -r "$locked" 2>&1)
code=$?
unanswered=$(grep -c 'could not be audited' <<<"$output")
grep -vE 'could not be audited|^WARNING|^Name +Skip Reason|^No known|^-+ -+$' <<<"$output"
if [ "$unanswered" -gt 0 ] || { [ $code -ne 0 ] && ! grep -qE '^Found [0-9]+ known' <<<"$output"; }; then
  echo "Not audited: ${unanswered/#0/$total} of $total packages. No advisory source answered for them from here." >&2
  exit $((code == 1 ? 1 : 2))
fi
echo "Audited: $total packages."
exit $code
