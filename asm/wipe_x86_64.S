/* asm/wipe_x86_64.S -- see wipe.h. */
#include "asm/asm.h"
#if defined(__x86_64__)

/* void kin__wipe_below(size_t bytes)
 *                      rdi
 * Upwards, to the return address. */
FUNC kin__wipe_below
    LANDING
    negq    %rdi
    jz      2f
1:  movq    $0, (%rsp, %rdi)
    addq    $8, %rdi
    jnz     1b
2:  ret
END kin__wipe_below

#endif /* __x86_64__ */

/* Outside the #if: see switch_x86_64.S. */
END_OF_FILE
