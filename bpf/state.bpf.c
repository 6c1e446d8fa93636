/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opened, established, failed, closed: tp_btf/inet_sock_set_state.
 *
 * In process context are CLOSE->SYN_SENT, *->LISTEN, ESTABLISHED->FIN_WAIT1, CLOSE_WAIT->LAST_ACK
 * and aborts by the application; all else may run in any task's softirq, where `current` means
 * nothing. A record leaves when a socket becomes ESTABLISHED and when it reaches CLOSE; a socket
 * that stays in between is reported by the walk.
 */

static __always_inline void own_by_current(struct webb_sock *s, __u32 evidence)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->flags & PF_KTHREAD || is_owner(&s->owner, task))
		return;
	set_owner(&s->owner, task, evidence);
}

static __always_inline int emit(struct sock *sk, struct webb_sock *s, struct webb_counts *n, __u8 kind, int old)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct webb_record *r;

	if (!tp)
		return 0;
	r = reserve_state(n);
	if (!r)
		return 0;
	describe(r, s, sk, tp, kind);
	r->old_state = old;
	if (kind == WEBB_ENDED)
		end_turns(s, r);
	/* A port of the application's own choice may be in use towards this peer: it has one then. */
	if (kind == WEBB_ENDED && old == TCP_SYN_SENT && !tp->segs_out)
		r->flags |= WEBB_F_NO_PORT;
	submit_state(r);
	return 1;
}

/* A socket of ours begins a life: by connect(), listen(), or as the child of a listener. */
static __always_inline struct webb_sock *open_sock(struct sock *sk, struct webb_counts *n)
{
	struct webb_sock *s;

	if (!in_scope(sk))
		return 0;
	s = bpf_sk_storage_get(&socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		n->no_storage++;
	return s;
}

static __always_inline void opened_by_current(struct sock *sk, struct webb_counts *n, int listen)
{
	struct webb_config *c = get_config();
	struct task_struct *task = bpf_get_current_task_btf();
	struct webb_sock *s;

	if (!c || task->tgid == c->self)
		return;
	s = open_sock(sk, n);
	if (!s)
		return;
	begin(s, sk, listen ? WEBB_LISTENER : WEBB_CLIENT, WEBB_SAW_CONNECT);
	s->opened = bpf_ktime_get_boot_ns();
	s->generation++;
	set_owner(&s->owner, task, WEBB_OWNER_OPENED);
	n->opened[s->role & 3]++;
	if (listen && emit(sk, s, n, WEBB_LISTEN, TCP_CLOSE))
		s->described = c->epoch;
}

/*
 * LISTEN->SYN_RECV fires on the child, which has a copy of its listener's storage (BPF_F_CLONE):
 * the owner is kept, all else begins anew.
 */
static __always_inline void opened_by_peer(struct sock *sk, struct webb_counts *n)
{
	struct webb_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);

	if (!s)
		s = open_sock(sk, n);
	if (!s)
		return;
	begin(s, sk, WEBB_SERVER, WEBB_CLONED);
	s->opened = bpf_ktime_get_boot_ns();
	s->generation = 1;
	s->owner.evidence = s->owner.pid ? WEBB_OWNER_INHERITED : WEBB_OWNER_UNKNOWN;
	if (!s->owner.pid)
		s->owner.cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
	n->opened[WEBB_SERVER]++;
}

/* close() or shutdown(): in the context of the process that uses the socket. */
static __always_inline void closing(struct sock *sk, struct webb_sock *s)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	own_by_current(s, WEBB_OWNER_CLOSED);
	if (tp)
		s->fin_data_segs = tp->data_segs_in;
}

/*
 * Data for a socket that nobody can read any more is answered with a reset, and sk_err is then what
 * it would be after a reset by the peer (tcp_rcv_state_process(), both by way of tcp_reset()).
 */
static __always_inline int is_late_data(struct sock *sk, struct webb_sock *s, int old)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	return tp && (old == TCP_FIN_WAIT1 || old == TCP_FIN_WAIT2) && sk->sk_err &&
	       sk->sk_shutdown & RCV_SHUTDOWN && tp->data_segs_in != s->fin_data_segs;
}

static __always_inline void ended(struct sock *sk, struct webb_sock *s, struct webb_counts *n, int old)
{
	if (s->role == WEBB_LISTENER) {
		n->closed[WEBB_LISTENER]++;
		emit(sk, s, n, WEBB_LISTEN_END, old);
	} else {
		/* With no error it was our side's close(): the one who calls it uses the socket. */
		if (!sk->sk_err && (old == TCP_ESTABLISHED || old == TCP_CLOSE_WAIT))
			own_by_current(s, WEBB_OWNER_CLOSED);
		flush_said(&payload_ring, sk, s);
		end_turn(s);
		if (s->turns - s->turns_told > WEBB_FEW_TURNS)
			tell_turns(&payload_ring, s);
		if (is_late_data(sk, s, old))
			s->flags |= WEBB_F_LATE_DATA;
		if (s->flags & WEBB_F_ESTABLISHED)
			n->closed[s->role & 3]++;
		else
			n->failed[s->role & 3]++;
		emit(sk, s, n, WEBB_ENDED, old);
	}
	s->flags = 0;
	s->opened = 0;
}

static __always_inline void opened(struct sock *sk, struct webb_counts *n, __u16 step, int new)
{
	struct webb_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);

	if (s && s->step == step)
		return;
	if (new == TCP_SYN_RECV)
		opened_by_peer(sk, n);
	else
		opened_by_current(sk, n, new == TCP_LISTEN);
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (s)
		s->step = step;
}

static __always_inline int changed(struct sock *sk, int old, int new)
{
	__u16 step = old << 8 | new;
	struct webb_counts *n;
	struct webb_config *c;
	struct webb_sock *s;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	n = get_counts();
	if (!n)
		return 0;
	if (new == TCP_SYN_SENT || new == TCP_LISTEN || (new == TCP_SYN_RECV && old == TCP_LISTEN)) {
		opened(sk, n, step, new);
		return 0;
	}
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s || s->step == step || (!s->opened && !(s->flags & WEBB_F_ADOPTED)))
		return 0;
	s->step = step;
	/* A child gets its own cookie only after LISTEN->SYN_RECV; on 6.12 it has its listener's there. */
	if (old == TCP_SYN_RECV && s->role == WEBB_SERVER)
		s->cookie = bpf_get_socket_cookie(sk);
	switch (new) {
	case TCP_ESTABLISHED:
		s->established = bpf_ktime_get_boot_ns();
		s->flags |= WEBB_F_ESTABLISHED;
		n->established[s->role & 3]++;
		c = get_config();
		if (c && emit(sk, s, n, WEBB_ESTABLISHED, old))
			s->described = c->epoch;
		break;
	case TCP_FIN_WAIT2:
		/* From itself: close() after shutdown(). From FIN_WAIT1 it is any task's softirq. */
		if (old == TCP_FIN_WAIT2)
			closing(sk, s);
		break;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		closing(sk, s);
		break;
	case TCP_CLOSE:
		ended(sk, s, n, old);
		break;
	}
	return 0;
}

/*
 * The kernel runs a program of this kind not at all where it would interrupt itself: while it runs for a
 * task, a softirq on the same processor may change another socket's state. So there are two, of which each
 * change reaches at least one; what the first one took, the second leaves alone.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(webb_state, struct sock *sk, int old, int new)
{
	return changed(sk, old, new);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(webb_state_too, struct sock *sk, int old, int new)
{
	return changed(sk, old, new);
}
