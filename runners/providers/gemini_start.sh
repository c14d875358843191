# Runs Gemini CLI, then gives the last answer as the CLI has recorded it.
# Where a stream broke and was asked for again, the lines of the CLI hold the words of both and do not say so.
BASH_ENV=/opt/gw/gemini/shell.sh "$@"
code=$?
grep -hs '^{"id":"[^"]*","timestamp":"[^"]*","type":"gemini"' "$HOME"/.gemini/tmp/*/chats/session-*.jsonl | tail -n 1
exit "$code"
