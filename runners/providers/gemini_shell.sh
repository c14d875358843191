# What each command line of Gemini CLI's shell tool begins with ($BASH_ENV of its `bash -c`).
# The CLI reports 16 MB of output in one line and loses that line when it ends, and it reports no exit code: so the
# output is bounded here, its start and its end are kept, and the exit code is its last line.
unset BASH_ENV
exec > >(head -c 262144; exec tail -c 4096) 2>&1
trap 'printf "\n[exit code %d]\n" "$?"' EXIT
