#!/bin/bash
# Every numbered scenario of the behaviour that kin promises is cited by a test
# ("S031" beside the test that shows it), or docs/kotlin.md says why not.
. tests/check.sh

numbers() {
    seq -f 'S%03g' 1 250
    seq -f 'S%03g' 296 301
    seq -f 'S%03g' 343 348
}

# cited FILE...: the numbers there, once each.  A range, as in "S157 to S176",
# is a table of contents and cites nothing.
cited() {
    sed -E 's/S[0-9]{3} to S[0-9]{3}//g' "$@" | grep -oE '\bS[0-9]{3}\b' |
        sort -u
}

without_test() { comm -23 <(numbers | sort) <(cited tests/*_*.[ch]); }

every_scenario_is_cited_by_a_test_or_excused() {
    diff <(without_test) <(cited docs/kotlin.md)
    [ "$(without_test | wc -l)" -le 6 ]
}
run every_scenario_is_cited_by_a_test_or_excused

no_test_cites_what_is_no_scenario() {
    local strange
    strange=$(comm -13 <(numbers | sort) <(cited tests/*_*.[ch]))
    echo "$strange"
    [ -z "$strange" ]
}
run no_test_cites_what_is_no_scenario

# The check itself: a number that is cited nowhere, and a range, are seen.
a_citation_that_is_missing_is_found() {
    sed 's/S031//' tests/job_family_test.c > "$scratch/a_b.c"
    ! cited "$scratch/a_b.c" | grep -qx S031 || exit 1
    cited "$scratch/a_b.c" | grep -qx S032
    echo '/* S001 to S003, S005 */' > "$scratch/c_d.c"
    [ "$(cited "$scratch/c_d.c")" = S005 ]
}
run a_citation_that_is_missing_is_found

finish
