/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two iterators. webb_files passes over all open files: it adopts sockets that were open before
 * the hooks were attached, and finds who holds each socket now. webb_walk passes over all sockets
 * that have storage and reports them to the sample ring: in full when user space was not told yet,
 * new counters when they moved, else just that they are there.
 */

/* Of a socket out of scope nothing is kept, and nothing is read but where it listens. */
static __always_inline void far_listener(struct sock *sk, struct webb_config *c)
{
	struct webb_counts *n = get_counts();
	struct webb_far_listen *r;

	if (!n)
		return;
	n->sample_produced++;
	r = bpf_ringbuf_reserve(&sample_ring, sizeof(*r), 0);
	if (!r) {
		n->sample_lost++;
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->kind = WEBB_FAR_LISTEN;
	r->port = sk->__sk_common.skc_num;
	r->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	r->pass = c->pass;
	put_address(r->addr, sk->__sk_common.skc_family, sk->__sk_common.skc_rcv_saddr,
		    &sk->__sk_common.skc_v6_rcv_saddr);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

static __always_inline void adopt(struct sock *sk, struct task_struct *task, struct webb_config *c, __u8 state)
{
	struct webb_counts *n = get_counts();
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct webb_sock *s;
	struct reading now;

	if (!n || !tp || state == TCP_CLOSE)
		return;
	if (!in_scope(sk)) {
		if (state == TCP_LISTEN)
			far_listener(sk, c);
		return;
	}
	if (BPF_CORE_READ(task, tgid) == c->self)
		return;
	s = bpf_sk_storage_get(&socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) {
		n->no_storage++;
		return;
	}
	/* A hook may have been quicker since we looked. */
	if (s->cookie)
		return;
	begin(s, sk, state == TCP_LISTEN ? WEBB_LISTENER : WEBB_UNKNOWN, 0);
	s->generation = 1;
	s->flags = WEBB_F_ADOPTED;
	if (state == TCP_SYN_SENT) {
		s->role = WEBB_CLIENT;
		s->role_evidence = WEBB_SAW_CONNECT;
	} else if (state != TCP_SYN_RECV) {
		s->flags |= WEBB_F_ESTABLISHED;
	}
	read_tcp(tp, &now);
	s->base_sent = now.sent;
	s->base_received = now.received;
	s->base_retransmits = now.retransmits;
	s->pass = c->pass;
	s->confirmed = 1;
	set_owner(&s->owner, task, WEBB_OWNER_HOLDS);
	n->adopted[s->role & 3]++;
}

/* A datagram socket that was open before the hooks were attached. */
static __always_inline void adopt_udp(struct sock *sk, struct task_struct *task, struct webb_config *c)
{
	struct webb_udp *u;

	if (!in_scope(sk) || BPF_CORE_READ(task, tgid) == c->self)
		return;
	u = bpf_sk_storage_get(&udps, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (u && !u->cookie)
		fill_udp(u, task, bpf_get_socket_cookie(sk), BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie),
			 BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum), WEBB_OWNER_HOLDS, bpf_ktime_get_boot_ns());
}

SEC("iter/task_file")
int webb_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct webb_config *c;
	struct webb_sock *s;
	struct socket *so;
	struct sock *sk;

	if (!task || !file)
		return 0;
	so = bpf_sock_from_file(file);
	if (!so)
		return 0;
	sk = so->sk;
	if (!sk)
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	c = get_config();
	if (!c)
		return 0;
	if (sk->sk_protocol == IPPROTO_UDP)
		adopt_udp(sk, task, c);
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s) {
		adopt(sk, task, c, sk->__sk_common.skc_state);
		return 0;
	}
	if (s->pass != c->pass) {
		s->pass = c->pass;
		s->confirmed = 0;
		set_owner(&s->holder, task, WEBB_OWNER_HOLDS);
	}
	if (is_owner(&s->owner, task)) {
		s->confirmed = 1;
		/* It may have been inherited, or have called exec since. */
		if (s->owner.evidence < WEBB_OWNER_OPENED) {
			s->owner.evidence = WEBB_OWNER_HOLDS;
			s->described = 0;
		}
	}
	return 0;
}

/* The last complete pass met the socket, but not with the owner that we had for it. */
static __always_inline void take_holder(struct webb_sock *s, struct webb_config *c)
{
	if (s->confirmed || !s->pass || s->pass != c->pass_complete)
		return;
	s->owner = s->holder;
	s->confirmed = 1;
	s->described = 0;
}

/* Its packets may go another way than was told. A new route mostly leads the same way. */
static __always_inline void take_route(struct webb_sock *s, struct sock *sk)
{
	struct dst_entry *dst = BPF_CORE_READ(sk, sk_dst_cache);
	__u8 route;

	if ((__u64)dst == s->dst)
		return;
	s->dst = (__u64)dst;
	route = route_of(dst);
	if (route && route != s->route)
		s->described = 0;
}

static __always_inline void report(struct sock *sk, struct tcp_sock *tp, struct webb_sock *s,
				   struct webb_config *c, struct webb_counts *n)
{
	struct webb_record *r;
	struct webb_sample *m;
	struct webb_alive *a;
	struct reading now;

	read_tcp(tp, &now);
	n->sample_produced++;
	if (s->described != c->epoch) {
		r = bpf_ringbuf_reserve(&sample_ring, sizeof(*r), 0);
		if (!r) {
			n->sample_lost++;
			return;
		}
		describe(r, s, sk, tp, s->role == WEBB_LISTENER ? WEBB_LISTEN : WEBB_MET);
		bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
		s->described = c->epoch;
	} else if (now.sent != s->last_sent || now.received != s->last_received ||
		   now.retransmits != s->last_retransmits) {
		m = bpf_ringbuf_reserve(&sample_ring, sizeof(*m), 0);
		if (!m) {
			n->sample_lost++;
			return;
		}
		__builtin_memset(m, 0, sizeof(*m));
		m->kind = WEBB_SAMPLE;
		m->generation = s->generation;
		m->at = bpf_ktime_get_boot_ns();
		m->cookie = s->cookie;
		m->netns_cookie = s->netns_cookie;
		m->sent = now.sent - s->base_sent;
		m->received = now.received - s->base_received;
		m->srtt_us = now.srtt_us;
		m->min_rtt_us = now.min_rtt_us;
		m->retransmits = now.retransmits - s->base_retransmits;
		bpf_ringbuf_submit(m, BPF_RB_NO_WAKEUP);
	} else {
		a = bpf_ringbuf_reserve(&sample_ring, sizeof(*a), 0);
		if (!a) {
			n->sample_lost++;
			return;
		}
		__builtin_memset(a, 0, sizeof(*a));
		a->kind = WEBB_ALIVE;
		a->generation = s->generation;
		a->cookie = s->cookie;
		a->netns_cookie = s->netns_cookie;
		bpf_ringbuf_submit(a, BPF_RB_NO_WAKEUP);
	}
	s->last_sent = now.sent;
	s->last_received = now.received;
	s->last_retransmits = now.retransmits;
}

SEC("iter/bpf_sk_storage_map")
int webb_walk(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct webb_sock *s = ctx->value;
	struct sock *sk = ctx->sk;
	struct webb_config *c;
	struct webb_counts *n;
	struct tcp_sock *tp;
	__u8 state;

	if (!s || !sk)
		return 0;
	c = get_config();
	n = get_counts();
	if (!c || !n)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_CLOSE) {
		if (s->attempt && bpf_ktime_get_boot_ns() - s->attempt > 100000000ull)
			not_sent(s, n);
		return 0;
	}
	if (!s->opened && !(s->flags & WEBB_F_ADOPTED))
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	take_holder(s, c);
	take_route(s, sk);
	report(sk, tp, s, c, n);
	/* What is said keeps its order only in one ring. ctx->value allows no variable offsets. */
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s)
		return 0;
	if (s->turns != s->turns_told)
		tell_turns(&payload_ring, s);
	if (c->decode)
		flush_said(&payload_ring, sk, s);
	return 0;
}
