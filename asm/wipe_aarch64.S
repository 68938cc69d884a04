/* asm/wipe_aarch64.S -- see wipe.h. */
#include "asm/asm.h"
#if defined(__aarch64__)

/* void kin__wipe_below(size_t bytes)
 *                      x0 */
FUNC kin__wipe_below
    LANDING
    sub     x1, sp, x0
    mov     x2, sp
1:  cmp     x1, x2
    b.hs    2f
    str     xzr, [x1], #8
    b       1b
2:  ret
END kin__wipe_below

#endif /* __aarch64__ */

/* Outside the #if: see switch_x86_64.S. */
END_OF_FILE
