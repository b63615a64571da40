# The second argument of slug is the longest length; the cut falls between words.
. tests/lib/expect.sh
. lib/slug.sh

expect 'in the middle of a word' 'the-quick' "$(slug 'The quick brown fox' 12)"
expect 'at the end of a word' 'the-quick-brown' "$(slug 'The quick brown fox' 15)"
expect 'at a hyphen' 'the-quick' "$(slug 'The quick brown fox' 10)"
expect 'the first word is longer' 'donau' "$(slug 'Donaudampfschiff fahrt' 5)"
expect 'short enough' 'the-quick-brown-fox' "$(slug 'The quick brown fox' 99)"
expect 'compared as numbers' 'the-quick' "$(slug 'The quick brown fox' 9)"
expect 'zero' 'the-quick-brown-fox' "$(slug 'The quick brown fox' 0)"
expect 'no limit' 'the-quick-brown-fox' "$(slug 'The quick brown fox')"
finish
