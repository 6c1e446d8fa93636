/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP/2 (RFC 9113, section 4.1): its frames are walked, so that the content of DATA is passed over.
 * Captured are all heads, and of other frames the content too. A segment may come late, or not at
 * all: a head that is not where it is expected makes the walk begin anew at a segment that begins
 * with what looks like one. What is true of it is for user space to say.
 */

#define FRAME_HEAD 9
#define PREFACE 24
#define FRAMES_PER_SEGMENT 512 /* a flight that was put together holds many small ones */
#define FRAME_DATA 0
#define FRAME_LAST_TYPE 9
#define EARLY_PARTS 4 /* of a segment that comes before its time: most are of a large body */
#define SAME_TIME_PARTS 16

struct frame_walk {
	struct __sk_buff *skb;
	struct webb_sock *s;
	struct webb_flow *f;
	struct segment g;
	__u32 at;   /* of the next head, from the beginning of the segment */
	__u32 seq;  /* of the segment */
	__u32 from; /* where its payload begins in the packet */
	__u32 len;  /* of the segment */
	__u32 pad;
	__u32 tell; /* frames are told one by one; else the segment is told as a whole */
	__u32 way;
};

static __always_inline __u32 min_u32(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

static __always_inline void put_part(struct frame_walk *w, __u32 at, __u32 len)
{
	if (!len || at >= w->len)
		return;
	len = min_u32(len, min_u32(w->len - at, CAP_LARGE));
	w->g.seq = w->seq + at;
	w->g.at = w->from + at;
	w->g.len = len;
	put_piece(w->skb, w->s, w->f, &w->g, len);
	/* Only the first one begins a message. */
	w->g.turned = 0;
}

/* The head at `at` says how long its frame is. */
static __always_inline void one_frame(struct frame_walk *w, __u32 at, const __u8 *head)
{
	__u32 len = (__u32)head[0] << 16 | (__u32)head[1] << 8 | head[2];
	__u32 whole = head[3] == FRAME_DATA ? FRAME_HEAD : FRAME_HEAD + min_u32(len, CAP_LARGE - FRAME_HEAD);

	if (w->tell)
		put_part(w, at, whole);
	/* The rest of what is to be captured may be in the next segment. */
	w->f->want[w->way & 1] = at + whole > w->len ? at + whole - w->len : 0;
	w->at = at + FRAME_HEAD + len;
}

static long next_frame(__u32 i, void *data)
{
	struct frame_walk *w = data;
	__u8 head[FRAME_HEAD];
	__u32 at = w->at, way = w->way & 1;

	if (at >= w->len)
		return 1;
	if (at + FRAME_HEAD > w->len) {
		/* Cut by the end of the segment. */
		__u32 have = w->len - at;

		for (__u32 k = 0; k < FRAME_HEAD - 1; k++)
			if (k < have)
				bpf_skb_load_bytes(w->skb, w->from + at + k, &w->f->head9[way][k], 1);
		w->f->partial[way] = have;
		if (w->tell)
			put_part(w, at, have);
		w->at = w->len;
		return 1;
	}
	if (bpf_skb_load_bytes(w->skb, w->from + at, head, FRAME_HEAD))
		return 1;
	one_frame(w, at, head);
	return 0;
}

/* The rest of a head that the last segment cut. */
static __always_inline void complete_head(struct frame_walk *w)
{
	__u32 way = w->way & 1, have = w->f->partial[way];
	__u8 *head = w->f->head9[way];

	w->f->partial[way] = 0;
	if (have >= FRAME_HEAD || w->len < FRAME_HEAD)
		return;
	for (__u32 k = 1; k < FRAME_HEAD; k++)
		if (k >= have)
			bpf_skb_load_bytes(w->skb, w->from + k - have, &head[k], 1);
	/* As if it began before the segment. */
	{
		__u32 len = (__u32)head[0] << 16 | (__u32)head[1] << 8 | head[2];
		__u32 rest = FRAME_HEAD - have;
		__u32 whole = head[3] == FRAME_DATA ? rest : rest + min_u32(len, CAP_LARGE - FRAME_HEAD);

		if (w->tell)
			put_part(w, 0, whole);
		w->f->want[way] = whole > w->len ? whole - w->len : 0;
		w->at = rest + len;
	}
}

static __always_inline int looks_like_head(struct __sk_buff *skb, const struct segment *g)
{
	__u8 h[FRAME_HEAD];

	if (g->len < FRAME_HEAD || bpf_skb_load_bytes(skb, g->at, h, FRAME_HEAD))
		return 0;
	/* At most 64 KiB long, a known type, the reserved bit unset, no flag that does not exist. */
	return !h[0] && h[3] <= FRAME_LAST_TYPE && !(h[5] & 0x80) && !(h[4] & ~0x2d);
}

/* What cannot be walked is told from its beginning, so that user space may put it in order. */
static __always_inline void tell_unwalked(struct frame_walk *w, const __u32 parts)
{
	for (__u32 i = 0; i < parts; i++)
		put_part(w, i * CAP_LARGE, CAP_LARGE);
}

/* The walk itself; this direction is ours alone. */
static __always_inline void walk_frames(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
					struct segment *g, __u32 way)
{
	struct frame_walk w = {
		.skb = skb, .s = s, .f = f, .g = *g, .way = way,
		.seq = g->seq, .from = g->at, .len = g->len, .tell = g->len > CAP_LARGE,
	};
	__s32 ahead;

	way &= 1;
	if (!w.tell) {
		w.g.len = g->len;
		put_piece(skb, s, f, &w.g, g->len);
	}
	if (!f->synced[way]) {
		if (!looks_like_head(skb, g)) {
			if (w.tell)
				tell_unwalked(&w, EARLY_PARTS);
			return;
		}
		f->synced[way] = 1;
		f->next[way] = g->seq;
		f->partial[way] = 0;
		f->want[way] = 0;
	}
	ahead = (__s32)(f->next[way] - g->seq);
	if (f->partial[way]) {
		if (ahead != 0 || g->len < FRAME_HEAD) {
			f->synced[way] = 0;
			if (w.tell)
				tell_unwalked(&w, EARLY_PARTS);
			return;
		}
		complete_head(&w);
	} else {
		if (ahead >= (__s32)g->len)
			return;
		if (ahead < 0) {
			/* The head was in a segment that has not come. */
			f->synced[way] = 0;
			if (!looks_like_head(skb, g)) {
				if (w.tell)
					tell_unwalked(&w, EARLY_PARTS);
				return;
			}
			f->synced[way] = 1;
			ahead = 0;
		}
		if (w.tell && f->want[way])
			put_part(&w, 0, min_u32(f->want[way], ahead));
		f->want[way] = 0;
		w.at = ahead;
	}
	bpf_loop(FRAMES_PER_SEGMENT, next_frame, &w, 0);
	f->next[way] = g->seq + w.at;
	if (w.at < g->len)
		f->synced[way] = 0;
}

/*
 * Two segments of one direction may pass at the same time, on two processors: they are looked at
 * before the socket is locked. The second one is told unwalked.
 */
static __always_inline void frames(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
				   struct segment *g, __u32 way)
{
	way &= 1;
	if (__sync_lock_test_and_set(&f->walking[way], 1)) {
		struct frame_walk w = {
			.skb = skb, .s = s, .f = f, .g = *g, .way = way, .seq = g->seq, .from = g->at, .len = g->len,
		};

		w.g.flags &= ~WEBB_P_IN_ORDER;
		tell_unwalked(&w, SAME_TIME_PARTS);
		return;
	}
	walk_frames(skb, s, f, g, way);
	__sync_lock_test_and_set(&f->walking[way], 0);
}

/* The client's preface, before anything else that it says. */
static __always_inline int begins_http2(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
					const struct segment *g, __u32 received)
{
	__u32 way = received & 1, other = way ^ 1;
	__u64 b;

	if (s->way[way].count || s->asking != way || g->len < PREFACE || bpf_skb_load_bytes(skb, g->at, &b, 8))
		return 0;
	/* "PRI * HT" */
	if (b != 0x5448202a20495250ull)
		return 0;
	s->mode = WEBB_MODE_FRAMES;
	f->synced[way] = 1;
	f->next[way] = g->seq + PREFACE;
	f->want[way] = PREFACE;
	/* The server may have spoken already. */
	f->synced[other] = 0;
	return 1;
}
