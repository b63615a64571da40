# `tt index` writes a CSV of slugs and titles.
. tests/lib/expect.sh

titles='Hello, World!

C++ & Rust
The "big" one
!!!'
wanted='slug,title
hello-world,"Hello, World!"
c-rust,C++ & Rust
the-big-one,"The ""big"" one"
untitled,!!!'

expect 'titles' "$wanted" "$(printf '%s\n' "$titles" | sh bin/tt index)"
expect 'no line end at the end' "$wanted" "$(printf '%s' "$titles" | sh bin/tt index)"
expect 'no titles' 'slug,title' "$(sh bin/tt index </dev/null)"
finish
