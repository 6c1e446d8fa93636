/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connect() that ends before a SYN is sent (no route, denied) changes no state. cgroup/connect4
 * and connect6 see the attempt, before routing; if the socket is released, connected again, or
 * walked while the attempt is still open, it came to nothing. Attached at the watched cgroups, so
 * nobody else pays. These programs only observe: they return 1, always.
 */

static __always_inline void not_sent(struct webb_sock *s, struct webb_counts *n)
{
	struct webb_record *r;

	s->generation++;
	n->opened[WEBB_CLIENT]++;
	n->failed[WEBB_CLIENT]++;
	r = reserve_state(n);
	if (r) {
		__builtin_memset(r, 0, sizeof(*r));
		r->kind = WEBB_NOT_SENT;
		r->role = WEBB_CLIENT;
		r->role_evidence = WEBB_SAW_CONNECT;
		r->generation = s->generation;
		r->netns = s->netns;
		r->at = bpf_ktime_get_boot_ns();
		r->opened = s->attempt;
		r->cookie = s->cookie;
		r->netns_cookie = s->netns_cookie;
		__builtin_memcpy(r->peer, s->attempt_addr, 16);
		/* No address of its own yet: the unspecified one of the peer's family. */
		if (!*(__u64 *)s->attempt_addr && *(__u32 *)(s->attempt_addr + 8) == bpf_htonl(0xffff)) {
			r->local[10] = 0xff;
			r->local[11] = 0xff;
		}
		r->peer_port = s->attempt_port;
		r->owner = s->owner;
		r->min_rtt_us = ~0u;
		submit_state(r);
	}
	s->attempt = 0;
}

static __always_inline struct webb_sock *attempted(struct bpf_sock_addr *ctx)
{
	struct webb_config *c = get_config();
	struct webb_counts *n = get_counts();
	struct task_struct *task;
	struct webb_sock *s;
	struct bpf_sock *bsk = ctx->sk;

	if (ctx->protocol != IPPROTO_TCP || !bsk || !c || !n)
		return 0;
	task = bpf_get_current_task_btf();
	if (BPF_CORE_READ(task, tgid) == c->self)
		return 0;
	s = bpf_sk_storage_get(&socks, bsk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) {
		n->no_storage++;
		return 0;
	}
	if (s->attempt)
		not_sent(s, n);
	s->attempt = bpf_ktime_get_boot_ns();
	s->attempt_port = bpf_ntohs(ctx->user_port);
	s->cookie = bpf_get_socket_cookie(ctx);
	s->netns_cookie = bpf_get_netns_cookie(ctx);
	s->netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	set_owner(&s->owner, task, WEBB_OWNER_OPENED);
	return s;
}

SEC("cgroup/connect4")
int webb_connect4(struct bpf_sock_addr *ctx)
{
	struct webb_sock *s = attempted(ctx);

	if (s) {
		*(__u64 *)s->attempt_addr = 0;
		*(__u32 *)(s->attempt_addr + 8) = bpf_htonl(0xffff);
		*(__u32 *)(s->attempt_addr + 12) = ctx->user_ip4;
	}
	return 1;
}

SEC("cgroup/connect6")
int webb_connect6(struct bpf_sock_addr *ctx)
{
	struct webb_sock *s = attempted(ctx);

	if (s) {
		*(__u32 *)s->attempt_addr = ctx->user_ip6[0];
		*(__u32 *)(s->attempt_addr + 4) = ctx->user_ip6[1];
		*(__u32 *)(s->attempt_addr + 8) = ctx->user_ip6[2];
		*(__u32 *)(s->attempt_addr + 12) = ctx->user_ip6[3];
	}
	return 1;
}

SEC("cgroup/sock_release")
int webb_release(struct bpf_sock *ctx)
{
	struct webb_sock *s = bpf_sk_storage_get(&socks, ctx, 0, 0);
	struct webb_counts *n = get_counts();

	if (s && n && s->attempt)
		not_sent(s, n);
	return 1;
}
