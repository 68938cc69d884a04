#!/bin/bash
# What docs/kotlin.md and README.md say in C compiles, and every name of kin's
# that they use is declared in a public header.  The checks are tried on pages
# with one mistake each.
. tests/check.sh

# compiles PAGE [OPTION...]: the fences and table cells of PAGE, below what
# stdin declares; options are those of tools/snippets.awk.  What is not used is
# no mistake: a page shows.
compiles() {
    local page=$1
    shift
    cat > "$scratch/page.c" &&
    awk "$@" -f tools/snippets.awk "$page" >> "$scratch/page.c" &&
    gcc -std=gnu17 -Wall -Wextra -pedantic -Werror -Wno-unused \
        -Iinclude -c "$scratch/page.c" -o /dev/null
}

# The names in the code of the public headers; their comments do not count.
declared() {
    gcc -fpreprocessed -dD -E -P include/kin/*.h |
        grep -oE '\b(kin|KIN)_[A-Za-z0-9_]+' | sort -u
}

# names_are_declared PAGE: prints those that are not.
names_are_declared() {
    grep -oE '\b(kin|KIN)_[A-Za-z0-9_]+' "$1" | sort -u > "$scratch/used" &&
    declared > "$scratch/declared" &&
    test -s "$scratch/used" &&
    test -z "$(comm -23 "$scratch/used" "$scratch/declared" | tee /dev/stderr)"
}

# links_lead_somewhere PAGE: to a file, or to a heading of the page itself.
links_lead_somewhere() {
    local target folder status=0
    folder=$(dirname "$1")
    for target in $(grep -oE '\]\([^) ]+\)' "$1" | sed 's/^](//; s/)$//'); do
        case $target in
        https:*|http:*) ;;
        \#*) headings "$1" | grep -qxF -- "${target#\#}" ;;
        *)   test -e "$folder/${target%%#*}" ;;
        esac || { echo "$1: there is no $target"; status=1; }
    done
    return $status
}

# As GitHub makes anchors of them.
headings() {
    sed -n 's/^##* //p' "$1" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-'
}

# ------------------------------------------------------------- the pages

the_code_of_the_kotlin_page_compiles() {
    compiles docs/kotlin.md < /dev/null
}
run the_code_of_the_kotlin_page_compiles

# What has a row: the names of kotlinx.coroutines, by subject.
kotlin_names() {
    cat <<'END'
Continuation resumeWith suspendCoroutine COROUTINE_SUSPENDED
suspendCoroutineUninterceptedOrReturn ContinuationInterceptor intercepted
startCoroutine createCoroutine invokeSuspend sequence iterator
CoroutineContext minusKey fold CombinedContext EmptyCoroutineContext
CoroutineContext.Element CoroutineContext.Key AbstractCoroutineContextKey
CoroutineName newCoroutineContext currentCoroutineContext
coroutineContext.job coroutineContext.isActive coroutineContext.ensureActive
coroutineContext.cancel coroutineContext.cancelChildren
launch async runBlocking CoroutineScope MainScope GlobalScope scope.cancel
scope.isActive produce actor broadcast Dispatchers.shutdown
CoroutineStart.DEFAULT CoroutineStart.LAZY CoroutineStart.ATOMIC
CoroutineStart.UNDISPATCHED
coroutineScope supervisorScope withContext withTimeout withTimeoutOrNull
runInterruptible flowScope
Job isActive isCompleted isCancelled start join joinAll cancel cancelAndJoin
cancelChildren invokeOnCompletion DisposableHandle.dispose parent children
CompletableJob.complete CompletableJob.completeExceptionally SupervisorJob
attachChild getCancellationException onJoin NonCancellable toString
CancellationException JobCancellationException.job parentCancelled
getChildJobCancellationCause awaitCancellation ensureActive yield delay
CoroutineExceptionHandler CompletionHandlerException CoroutinesInternalError
addSuppressed suppressedExceptions finally throw try catch
Deferred await getCompleted getCompletionExceptionOrNull CompletableDeferred
complete completeExceptionally completeWith awaitAll onAwait asDeferred
asCompletableFuture
CoroutineDispatcher dispatch isDispatchNeeded dispatchYield
Dispatchers.Default Dispatchers.IO Dispatchers.Unconfined
newSingleThreadContext newFixedThreadPoolContext close
asCoroutineDispatcher asExecutor DispatchException
limitedParallelism Dispatchers.Main Dispatchers.Main.immediate
Dispatchers.setMain resetMain TimeoutCancellationException Delay onTimeout
suspendCancellableCoroutine invokeOnCancellation resume tryResume
completeResume resumeUndispatched
select selectUnbiased Mutex Semaphore Channel Flow SharedFlow StateFlow
channelFlow callbackFlow ThreadContextElement asContextElement isPresent
CopyableThreadContextElement
DebugProbes.install DebugProbes.dumpCoroutines printJob
TestCoroutineScheduler currentTime advanceTimeBy runCurrent advanceUntilIdle
timeSource StandardTestDispatcher UnconfinedTestDispatcher runTest TestScope
backgroundScope Lifecycle lifecycleScope repeatOnLifecycle viewModelScope
END
}

# every_name_has_a_row PAGE: code in a first column; prints those that have not.
every_name_has_a_row() {
    awk -F'|' '/^\|/ { print $2 }' "$1" | grep -oE '`[^`]*`' |
        grep -oE '[A-Za-z_][A-Za-z_.]*[A-Za-z_]' > "$scratch/rows" &&
    # A qualified name stands for its last part, too.
    sed 's/.*\.//' "$scratch/rows" > "$scratch/rows.last" &&
    kotlin_names | tr ' ' '\n' | sort -u > "$scratch/wanted" &&
    test -z "$(sort -u "$scratch/rows" "$scratch/rows.last" |
               comm -23 "$scratch/wanted" - | tee /dev/stderr)"
}

every_name_of_kotlins_has_a_row() {
    every_name_has_a_row docs/kotlin.md
}
run every_name_of_kotlins_has_a_row

the_names_on_the_kotlin_page_are_declared() {
    names_are_declared docs/kotlin.md
}
run the_names_on_the_kotlin_page_are_declared

the_links_of_the_kotlin_page_lead_somewhere() {
    links_lead_somewhere docs/kotlin.md
}
run the_links_of_the_kotlin_page_lead_somewhere

readme_declarations() {
    cat <<'END'
#include <kin/kin.h>
struct page { void *user, *feed; };
kin_body load_user, load_feed;
kin_body write_head, write_body, open_file;
int talk(void *arg), say_goodbye(void *arg), load_feed_now(struct page *page);
int close_file(void *file), read_page(void *file);
void drop(void *peer), close_later(void *file);
END
}

the_code_of_the_readme_compiles() {
    readme_declarations | compiles README.md -v plain=file
    grep -q 'kin_run_blocking(load_page' "$scratch/page.c"
    for each in kin_shield KIN_AUTO KIN_TRY_IN KIN_WITH_TIMEOUT \
                .on_undelivered; do
        grep -q -- "$each" "$scratch/page.c" || exit 1
    done
}
run the_code_of_the_readme_compiles

the_names_in_the_readme_are_declared() {
    names_are_declared README.md
}
run the_names_in_the_readme_are_declared

the_links_of_the_readme_lead_somewhere() {
    links_lead_somewhere README.md
}
run the_links_of_the_readme_lead_somewhere

# ------------------------------------------------------ the checks themselves

# with SED-SCRIPT: makes a copy of the page with a mistake in it.
with() {
    sed "$1" docs/kotlin.md > "$scratch/kotlin.md"
    if cmp -s docs/kotlin.md "$scratch/kotlin.md"; then
        echo "nothing to change by: $1"
        return 1
    fi
}

# does_not_compile SED-SCRIPT TEXT: with that mistake, and TEXT says which.
does_not_compile() {
    with "$1"
    if compiles "$scratch/kotlin.md" < /dev/null > "$scratch/said" 2>&1; then
        echo "it compiles"
        return 1
    fi
    cat "$scratch/said"
    grep -q -- "$2" "$scratch/said"
}

has_an_unknown_name() {
    with "$1"
    if names_are_declared "$scratch/kotlin.md" 2> "$scratch/said"; then
        echo "no name is unknown"
        return 1
    fi
    grep -qx -- "$2" "$scratch/said"
}

a_wrong_name_in_a_text_is_found() {
    has_an_unknown_name 's/`kin_scope_retain`/`kin_scope_retane`/' \
        kin_scope_retane
}
run a_wrong_name_in_a_text_is_found

a_name_without_a_row_is_found() {
    with 's/^| `joinAll`/| `joinNone`/'
    if every_name_has_a_row "$scratch/kotlin.md" 2> "$scratch/said"; then
        echo "no name is missing"
        return 1
    fi
    grep -qx joinAll "$scratch/said"
}
run a_name_without_a_row_is_found

a_wrong_code_in_a_cell_is_found() {
    has_an_unknown_name 's/| `KIN_ENOMAIN` |/| `KIN_ENOMANE` |/' KIN_ENOMANE
}
run a_wrong_code_in_a_cell_is_found

a_wrong_name_in_a_fence_is_found() {
    has_an_unknown_name 's/return kin_cancel_and_join(/return kin_cancel_join(/' \
        kin_cancel_join
    does_not_compile 's/return kin_cancel_and_join(/return kin_cancel_join(/' \
        kin_cancel_join
}
run a_wrong_name_in_a_fence_is_found

# A comment in kin/stack.h says KIN_WIPE_STACKS, and no code does.
a_name_that_only_a_comment_has_is_not_declared() {
    grep -q KIN_WIPE_STACKS include/kin/stack.h
    has_an_unknown_name 's/KIN_ENOMAIN/KIN_WIPE_STACKS/' KIN_WIPE_STACKS
}
run a_name_that_only_a_comment_has_is_not_declared

an_argument_too_few_in_a_cell_is_found() {
    does_not_compile 's/`kin_job_fail(job, error)`/`kin_job_fail(job)`/' \
        'kotlin.md:[0-9]*:.*kin_job_fail'
}
run an_argument_too_few_in_a_cell_is_found

an_option_that_is_not_there_is_found() {
    does_not_compile 's/`\.stack_size` |/`.stack` |/' 'stack'
    does_not_compile 's/`\.start = KIN_START_LAZY`/`.begin = KIN_START_LAZY`/' \
        begin
}
run an_option_that_is_not_there_is_found

a_mistake_in_a_file_fence_is_found_by_its_line() {
    does_not_compile 's/&page->user)/\&page->usr)/' \
        "kotlin.md:$(grep -n '&page->user)' docs/kotlin.md | cut -d: -f1):"
}
run a_mistake_in_a_file_fence_is_found_by_its_line

a_mistake_in_a_body_fence_is_found_by_its_line() {
    does_not_compile 's/(kin_delay(KIN_S(1)))/(kin_delay(KIN_S(1)/' \
        "kotlin.md:$(grep -n '(kin_delay(KIN_S(1)))' docs/kotlin.md |
                     cut -d: -f1):"
}
run a_mistake_in_a_body_fence_is_found_by_its_line

a_dropped_handle_in_a_fence_is_found() {
    does_not_compile 's/KIN_TRY(\(kin_async(.*)\));/\1;/' unused-result
}
run a_dropped_handle_in_a_fence_is_found

a_fence_that_does_not_say_what_it_is_is_found() {
    does_not_compile 's/^```c body/```c/' 'file or body'
}
run a_fence_that_does_not_say_what_it_is_is_found

a_fence_that_is_not_closed_is_found() {
    does_not_compile '$a ```c file' 'not closed'
}
run a_fence_that_is_not_closed_is_found

a_link_to_nowhere_is_found() {
    with 's/(#not-there)/(#not-here)/'
    ! links_lead_somewhere "$scratch/kotlin.md" || exit 1
}
run a_link_to_nowhere_is_found

finish
