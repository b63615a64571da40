set -u
check() { # expected, arguments
    expected=$1; shift
    got=$(sh tool.sh "$@")
    [ "$got" = "$expected" ] || { echo "failed: tool.sh $*: $got, expected $expected"; exit 1; }
}
check 'JAZZ' 'jazz'
