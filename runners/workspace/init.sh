#!/bin/bash
# Starts inside the jail: init.sh PORT SOCKET PROCESSES COMMAND...
# Relays 127.0.0.1:PORT to the gateway's socket (none where SOCKET is empty), bounds processes, becomes the command.
port=$1 socket=$2 processes=$3
shift 3

# Here and not outside: a limit set in this user namespace counts this jail's processes alone, whoever shares the uid.
if [ "$processes" -gt 0 ] && ! ulimit -u "$processes"; then
  echo "gatewright: the number of processes cannot be limited"
  exit 97
fi

if [ -n "$socket" ]; then
  printf -v listening '0100007F:%04X 00000000:0000 0A' "$port"
  setpriv --pdeathsig KILL socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr,backlog=128" "UNIX-CONNECT:$socket" \
    </dev/null >/dev/null 2>&1 &
  for ((tries = 0; ; tries++)); do
    [[ $(</proc/net/tcp) == *"$listening"* ]] && break
    [ "$tries" -lt 600 ] || { echo "gatewright: the relay to the gateway did not start"; exit 97; }
    read -rt 0.005 _ <> <(:)
  done
  disown
fi

# A runtime that leaves its result in a file of the jail's home (named here) has it printed as the last line.
[ -n "${GW_EPILOGUE:-}" ] || exec "$@"
"$@"
code=$?
if [ -f "$GW_EPILOGUE" ]; then
  printf '\n{"type":"gw.usage","data":'
  tr -d '\n' <"$GW_EPILOGUE"
  printf '}\n'
fi
exit "$code"
