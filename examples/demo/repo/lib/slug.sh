# Slugs: text that can stand in a URL.

# slug TEXT: TEXT in lower case, with a hyphen for everything but letters and digits.
slug() {
    printf '%s\n' "$1" |
        tr '[:upper:]' '[:lower:]' |
        sed 's/[^a-z0-9]/-/g'
}
