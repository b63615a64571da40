# Whoever asks gets the usage; whoever errs gets it too, on standard error and with exit code 2.
. tests/lib/expect.sh

status=0
help=$(sh bin/tt --help) || status=$?
expect 'help: exit code' 0 "$status"

status=0
error=$(sh bin/tt nonsense 2>&1 >/dev/null) || status=$?
expect 'unknown command: exit code' 2 "$status"
expect 'unknown command: the usage' "$help" "$error"

status=0
error=$(sh bin/tt 2>&1 >/dev/null) || status=$?
expect 'no command: exit code' 2 "$status"
finish
