#!/bin/sh
# What GitLab checks before it takes a push; the server gives the rules in the environment.
deny() { echo "GitLab: $1" >&2; exit 1; }
set -f # rules may hold *
zero=0000000000000000000000000000000000000000
n=0
while [ "$n" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
  eval "printf '%s\\n' \"\$GIT_PUSH_OPTION_$n\"" >> "${GIT_DIR:-.}/sim-push-options"
  n=$((n + 1))
done
covered() { # is the ref under one of these rules?
  for rule in $1; do
    case "$ref" in refs/heads/$rule) return 0 ;; esac
  done
  return 1
}
while read -r old new ref; do
  for prefix in $SIM_REFUSED; do
    case "$ref" in "$prefix"*) deny "You are not allowed to push to $ref." ;; esac
  done
  if covered "$SIM_PROTECTED" && ! covered "$SIM_OPEN"; then
    deny "You are not allowed to push code to protected branches on this project."
  fi
  if covered "$SIM_PROTECTED_ALL" && [ "$old" != $zero ] && [ "$new" != $zero ]; then
    [ "$(git merge-base "$old" "$new")" = "$old" ] ||
      deny "You are not allowed to force push code to a protected branch on this project."
  fi
  [ -n "$SIM_AUTHORS" ] && [ "$new" != $zero ] || continue
  for email in $(git log --format='%ae%n%ce' "$new" --not --all | sort -u); do
    case " $SIM_AUTHORS " in
      *" $email "*) ;;
      *) deny "Commit author '$email' is not a member of team" ;;
    esac
  done
done
