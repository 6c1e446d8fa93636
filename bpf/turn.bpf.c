/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turns: how long the answer took, whatever the protocol and whether it is encrypted. No event per
 * turn: codes gather on the socket and leave when there is no more room, by the walk, or at close.
 * All codes of a socket are written by the direction in which its server speaks.
 */

/* States of the answer that goes on. */
enum answer {
	ANSWER_NONE = 0,
	ANSWER_BEGUN = 1,  /* one segment so far */
	ANSWER_MORE = 2,   /* more than one: its end is told when the next turn begins */
	ANSWER_STREAM = 3, /* it paused: its end says nothing */
	ANSWER_PUSHED = 4, /* unasked */
};

#define PAUSE_NS 1000000000ull
#define WAIT_NS 10000000000ull
#define TURN_MAX_US ((1u << 29) - 1)

static __always_inline void fill_turns(struct webb_turns_head *r, struct webb_sock *s, __u32 from, __u32 n)
{
	r->kind = WEBB_TURNS;
	r->count = n;
	r->pad[0] = 0;
	r->pad[1] = 0;
	r->generation = s->generation;
	r->cookie = s->cookie;
	r->netns_cookie = s->netns_cookie;
	r->at = bpf_ktime_get_boot_ns();
	r->from = from;
	r->pad2 = 0;
}

/* Codes are numbered, so telling some twice, for want of a lock, does no harm. */
static __always_inline void tell_turns(void *ring, struct webb_sock *s)
{
	__u32 to = s->turns, from = s->turns_told, n = to - from;
	struct webb_counts *counts;
	struct webb_turns *r;

	if (!n)
		return;
	if (n > WEBB_TURN_CODES) {
		n = WEBB_TURN_CODES;
		from = to - n;
	}
	s->turns_told = to;
	r = bpf_ringbuf_reserve(ring, sizeof(*r), 0);
	if (r) {
		fill_turns(&r->head, s, from, n);
		for (int i = 0; i < WEBB_TURN_CODES; i++)
			r->code[i] = s->turn[(from + i) & (WEBB_TURN_CODES - 1)];
		bpf_ringbuf_submit(r, payload_wakeup(ring));
		return;
	}
	counts = get_counts();
	if (counts)
		counts->turns_lost += n;
}

/* The record of a socket's end has room for a few: a short connection needs no other record. */
static __always_inline void end_turns(struct webb_sock *s, struct webb_record *r)
{
	__u32 n = s->turns - s->turns_told;

	if (n > WEBB_FEW_TURNS)
		return;
	r->turn_from = s->turns_told;
	r->turns = n;
	for (int i = 0; i < WEBB_FEW_TURNS; i++)
		r->turn[i] = s->turn[(s->turns_told + i) & (WEBB_TURN_CODES - 1)];
	s->turns_told = s->turns;
}

static __always_inline void put_turn(struct webb_sock *s, __u32 class, __u64 ns)
{
	__u64 us = ns / 1000;
	__u32 n = s->turns;

	if (n - s->turns_told >= WEBB_TURN_CODES)
		tell_turns(&payload_ring, s);
	if (us > TURN_MAX_US)
		us = TURN_MAX_US;
	s->turn[n & (WEBB_TURN_CODES - 1)] = class << 29 | (__u32)us;
	s->turns = n + 1;
}

/* The answer before is over: its end is known now. */
static __always_inline void end_turn(struct webb_sock *s)
{
	__u64 last = s->way[(s->asking ^ 1) & 1].last;

	if (s->answer == ANSWER_MORE && last > s->asked)
		put_turn(s, WEBB_TURN_FULL, last - s->asked);
	s->answer = ANSWER_NONE;
}

/* Payload in the direction in which the server speaks. */
static __always_inline void answered(struct webb_sock *s, __u64 now, __u32 ack)
{
	struct webb_way *ask = &s->way[s->asking & 1];
	struct webb_way *way = &s->way[(s->asking ^ 1) & 1];
	__u32 asked = ask->count;
	__u64 ns;

	if (asked == s->answered) {
		if (!asked) {
			if (s->answer != ANSWER_PUSHED)
				put_turn(s, WEBB_TURN_PUSH, 0);
			s->answer = ANSWER_PUSHED;
		} else if (s->answer == ANSWER_BEGUN || s->answer == ANSWER_MORE) {
			if (now - way->last > PAUSE_NS) {
				put_turn(s, WEBB_TURN_STREAM, 0);
				s->answer = ANSWER_STREAM;
			} else {
				s->answer = ANSWER_MORE;
			}
		}
		return;
	}
	end_turn(s);
	s->answered = asked;
	s->asked = ask->last;
	ns = now > ask->last ? now - ask->last : 0;
	if ((__s32)(ack - ask->end) < 0) {
		put_turn(s, WEBB_TURN_OVERLAP, ns);
		s->answer = ANSWER_STREAM;
	} else {
		put_turn(s, ns >= WAIT_NS ? WEBB_TURN_WAIT : WEBB_TURN_FIRST, ns);
		s->answer = ANSWER_BEGUN;
	}
}
