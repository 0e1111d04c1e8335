#!/usr/bin/env bash
# Checks the subjects of commits: conventional, at most 72 characters. Commits before this check are not looked at.
set -euo pipefail
first=$(git log --diff-filter=A --format=%H -- .ci/commits.sh | tail -n 1)
[ -n "$first" ] || exit 0
conventional='^[0-9a-f]+ ((build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test)(\([a-z-]+\))?!?: |Revert ).{1,60}'
bad=$(git log --no-merges --format='%h %s' "$first..HEAD" | grep -vE "$conventional" || true)
long=$(git log --no-merges --format='%s' "$first..HEAD" | grep -E '^.{73,}' || true)
[ -z "$bad$long" ] || { printf 'not conventional, or longer than 72 characters:\n%s\n%s\n' "$bad" "$long" >&2; exit 1; }
