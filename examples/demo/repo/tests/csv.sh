# Fields are quoted where RFC 4180 asks for it, and only there.
. tests/lib/expect.sh
. lib/csv.sh

lf='
'
cr=$(printf '\r')

expect 'plain' 'a,b c,d' "$(csv_row a 'b c' d)"
expect 'comma' '"a,b",c' "$(csv_row 'a,b' c)"
expect 'quotes' 'a,"say ""hi"" twice"' "$(csv_row a 'say "hi" twice')"
expect 'line break' "\"a${lf}b\",c" "$(csv_row "a${lf}b" c)"
expect 'line break at the end' "\"a${lf}\",b" "$(csv_row "a${lf}" b)"
expect 'carriage return' "\"a${cr}\",b" "$(csv_row "a${cr}" b)"
expect 'empty fields' ',b,,' "$(csv_row '' b '' '')"
expect 'backslash and percent' 'C:\new,100%d' "$(csv_row 'C:\new' '100%d')"
expect 'leading hyphen' '-n,-e' "$(csv_row -n -e)"
finish
