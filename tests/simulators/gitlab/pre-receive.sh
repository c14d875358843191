#!/bin/sh
# What GitLab checks before it takes a push; the server gives the rules in the environment.
deny() { echo "GitLab: $1" >&2; exit 1; }
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
  for prefix in $SIM_REFUSED; do
    case "$ref" in "$prefix"*) deny "You are not allowed to push to $ref." ;; esac
  done
  for branch in $SIM_PROTECTED; do
    [ "$ref" = "refs/heads/$branch" ] || continue
    deny "You are not allowed to push code to protected branches on this project."
  done
  for branch in $SIM_PROTECTED_ALL; do
    [ "$ref" = "refs/heads/$branch" ] && [ "$old" != $zero ] && [ "$new" != $zero ] || continue
    [ "$(git merge-base "$old" "$new")" = "$old" ] ||
      deny "You are not allowed to force push code to a protected branch on this project."
  done
  [ -n "$SIM_AUTHORS" ] && [ "$new" != $zero ] || continue
  for email in $(git log --format='%ae%n%ce' "$new" --not --all | sort -u); do
    case " $SIM_AUTHORS " in
      *" $email "*) ;;
      *) deny "Commit author '$email' is not a member of team" ;;
    esac
  done
done
