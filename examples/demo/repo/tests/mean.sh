# The mean is rounded to two decimals, halves away from zero.
. tests/lib/expect.sh
. lib/stats.sh

mean() {
    printf '%s\n' "$@" | stats_mean
}

expect 'whole numbers' '2.00' "$(mean 1 2 3)"
expect 'a half' '0.13' "$(mean 0.125)"
expect 'a negative half' '-0.13' "$(mean -0.125)"
expect 'no negative zero' '0.00' "$(mean -0.001)"
expect 'prices' '1.01' "$(mean 1.00 1.01)"
expect 'blank lines' '3.50' "$(mean 3 '' 4)"
expect 'no numbers' 'failed' "$(stats_mean </dev/null || printf failed)"
finish
