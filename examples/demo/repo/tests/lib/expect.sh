# Sourced by every test: `expect` compares, `finish` ends the test.
failures=0

# expect NAME WANTED GOT
expect() {
    [ "$2" != "$3" ] || return 0
    failures=$((failures + 1))
    printf 'FAIL %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
}

finish() {
    if [ "$failures" -gt 0 ]; then
        printf '%s: %d failed\n' "$0" "$failures"
        exit 1
    fi
    printf '%s: ok\n' "$0"
}
