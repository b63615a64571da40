# Figures over a column of numbers.

# stats_mean: the mean of the numbers on standard input, one a line, with two decimals.
# Blank lines do not count. Fails without a number.
stats_mean() {
    LC_ALL=C awk '
        NF { sum += $1; count++ }
        END {
            if (count == 0) exit 1
            printf "%.2f\n", sum / count
        }'
}
