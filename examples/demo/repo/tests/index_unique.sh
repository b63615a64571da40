# `tt index` gives no slug twice.
. tests/lib/expect.sh

slugs() {
    sh bin/tt index | cut -d, -f1 | sed 1d | tr '\n' ' '
}

expect 'repeated titles' 'intro intro-2 intro-3 ' \
    "$(printf '%s\n' Intro Intro intro | slugs)"
expect 'a suffix that is taken' 'intro intro-2 intro-2-2 intro-3 ' \
    "$(printf '%s\n' Intro Intro 'Intro 2' Intro | slugs)"
expect 'part of another slug' 'intro-to-sh intro sh ' \
    "$(printf '%s\n' 'Intro to sh' Intro Sh | slugs)"
expect 'without letters' 'untitled untitled-2 ' \
    "$(printf '%s\n' '!' '?' | slugs)"
finish
