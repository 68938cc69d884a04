/* An exception is caught at kin__call_catching, wherever below it it comes
 * from; the caller's registers and stack are as they were.  The exceptions are
 * foreign ones, so no C++ is needed. */
#include "tests/check.h"

#include "asm/catch.h"
#include "asm/switch.h"

#include <stdlib.h>
#include <string.h>
#include <unwind.h>

static int deleted;

static void delete_exception(_Unwind_Reason_Code reason,
                             struct _Unwind_Exception *exception)
{
    (void)reason;
    deleted++;
    free(exception);
}

__attribute__((noinline)) static int throw(void)
{
    struct _Unwind_Exception *exception = calloc(1, sizeof *exception);

    memcpy(&exception->exception_class, "KIN TEST", 8);
    exception->exception_cleanup = delete_exception;
    _Unwind_RaiseException(exception);
    check_holds(CHECK_HERE, false, "somebody catches it");
    return 0;
}

__attribute__((noinline)) static int throw_below(int depth)
{
    volatile char frame[200];

    frame[depth] = 1;
    if (depth == 0)
        return throw();
    return throw_below(depth - 1) + frame[depth];
}

static int throws(void *a, void *b, uintptr_t c)
{
    CHECK_PTR(a, &deleted);
    CHECK_PTR(b, NULL);
    return throw_below((int)c);
}

static int adds(void *a, void *b, uintptr_t c)
{
    return *(int *)a + *(int *)b + (int)c;
}

TEST(a_call_that_throws_nothing_returns_its_value)
{
    int a = 1, b = 20;
    void *exception = &a;

    CHECK_EQ(kin__call_catching(adds, &a, &b, 300, &exception), 321);
    CHECK_PTR(exception, &a);
}

static void catch_one(uintptr_t depth)
{
    void *exception = NULL;

    CHECK_EQ(kin__call_catching(throws, &deleted, NULL, depth, &exception), 0);
    CHECK(exception != NULL);
    _Unwind_DeleteException(exception);
}

TEST(an_exception_is_caught_from_any_depth)
{
    for (int i = 0; i < 100; i++)
        catch_one((uintptr_t)i % 50);
    CHECK_EQ(deleted, 100);
}

static int catches_and_throws(void *a, void *b, uintptr_t c)
{
    catch_one(c);
    return throws(a, b, c);
}

TEST(the_innermost_call_catches)
{
    void *exception = NULL;

    CHECK_EQ(kin__call_catching(catches_and_throws, &deleted, NULL, 3,
                                &exception), 0);
    CHECK_EQ(deleted, 1);
    _Unwind_DeleteException(exception);
    CHECK_EQ(deleted, 2);
}

TEST(registers_survive)
{
    long a = rand(), b = rand(), c = rand(), d = rand(), e = rand(), f = rand();
    double x = (double)a, y = (double)b;
    volatile long va = a, vb = b, vc = c, vd = d, ve = e, vf = f;

    catch_one(7);
    CHECK(a == va && b == vb && c == vc && d == vd && e == ve && f == vf);
    CHECK(x == (double)va && y == (double)vb);
}

/* --- On a stack of its own ------------------------------------------------ */

static void *here, *there;

static void on_another_stack(void *unused)
{
    (void)unused;
    catch_one(20);
    kin__switch(&there, here, NULL);
    abort();
}

TEST(an_exception_is_caught_on_any_stack)
{
    size_t size = 256 * 1024;
    char *stack = malloc(size);

    there = kin__switch_make(stack + size, on_another_stack);
    kin__switch(&here, there, NULL);
    CHECK_EQ(deleted, 1);
    free(stack);
}

TEST_MAIN
