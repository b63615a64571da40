# Slugs have single hyphens, and none at the ends.
. tests/lib/expect.sh
. lib/slug.sh

expect 'punctuation' 'hello-world' "$(slug 'Hello, World!')"
expect 'blanks around' 'spaces-around' "$(slug '  spaces   around ')"
expect 'symbols' 'c-rust' "$(slug 'C++ & Rust')"
expect 'hyphens in the text' 'a-b' "$(slug '--a--b--')"
expect 'a slug stays' 'already-a-slug' "$(slug 'already-a-slug')"
expect 'digits' '2024-report' "$(slug '2024 Report')"
expect 'nothing left' '' "$(slug '!!!')"
finish
