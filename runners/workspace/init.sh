#!/bin/bash
# Starts inside the jail: init.sh PORT SOCKET PROCESSES COMMAND...
# Relays 127.0.0.1:PORT to the gateway's socket (none where SOCKET is empty), and the port above it to the filtering
# proxy's where there is one; bounds processes, becomes the command.
port=$1 socket=$2 processes=$3
shift 3

# Here and not outside: a limit set in this user namespace counts this jail's processes alone, whoever shares the uid.
if [ "$processes" -gt 0 ] && ! ulimit -u "$processes"; then
  echo "gatewright: the number of processes cannot be limited"
  exit 97
fi

# In a team's own root file system our programs come along, to be started by their own loader (kit.py).
kit=${BASH_SOURCE[0]%/*}/kit/ loaded=()
if [ -d "$kit" ]; then loaded=("${kit}loader" --library-path "$kit"); else kit=; fi

relay() { # PORT SOCKET
  local tries listening idle table
  printf -v listening '0100007F:%04X 00000000:0000 0A' "$1"
  "${loaded[@]}" "${kit}setpriv" --pdeathsig KILL "${loaded[@]}" "${kit}socat" \
    "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr,backlog=128" "UNIX-CONNECT:$2" </dev/null >/dev/null 2>&1 &
  exec {idle}<> <(:) # nothing comes from it: a wait that starts no program
  for ((tries = 0; ; tries++)); do
    read -rd '' table </proc/net/tcp
    [[ $table == *"$listening"* ]] && break
    [ "$tries" -lt 1500 ] || { echo "gatewright: the relay to the gateway did not start"; exit 97; }
    read -rt 0.002 -u "$idle" _
  done
  exec {idle}<&-
  disown
}

[ -z "$socket" ] || relay "$port" "$socket"
[ ! -S /run/egress.sock ] || relay "$((port + 1))" /run/egress.sock

# A runtime that leaves its result in a file of the jail's home (named here) has it printed as the last line.
[ -n "${GW_EPILOGUE:-}" ] || exec "$@"
"$@"
code=$?
if [ -f "$GW_EPILOGUE" ]; then
  printf '\n{"type":"gw.usage","data":'
  result=$(<"$GW_EPILOGUE")
  printf '%s' "${result//$'\n'/}"
  printf '}\n'
fi
exit "$code"
