/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one object: each concern is a file of its own, all share the maps of common.h. */
#include "common.h"

#include "turn.bpf.c"
#include "said.bpf.c"
#include "state.bpf.c"
#include "attempt.bpf.c"
#include "packet.bpf.c"
#include "walk.bpf.c"
#include "cert.bpf.c"

/* The helpers that read the kernel are for GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
