# CSV, as RFC 4180 has it, with LF line ends.

# csv_row FIELD ...: the fields as one record.
csv_row() {
    row=$1
    shift
    for field in "$@"; do
        row=$row,$field
    done
    printf '%s\n' "$row"
}
