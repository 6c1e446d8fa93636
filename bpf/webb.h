/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side and src/source/ebpf/records.rs agree on: records, configuration, counts.
 * Little endian, naturally aligned, no hidden padding. Times are CLOCK_BOOTTIME nanoseconds.
 */
#ifndef WEBB_H
#define WEBB_H

#include <linux/types.h>

#define WEBB_SCOPES 32
#define WEBB_FEW_TURNS 2

/* Kinds of record; each ring holds records that begin with one. */
enum webb_kind {
	WEBB_ESTABLISHED = 1, /* struct webb_record */
	WEBB_ENDED = 2,	      /* struct webb_record: to CLOSE */
	WEBB_NOT_SENT = 3,    /* struct webb_record: connect() ended before a SYN */
	WEBB_LISTEN = 4,      /* struct webb_record */
	WEBB_LISTEN_END = 5,  /* struct webb_record */
	WEBB_MET = 6,	      /* struct webb_record, by the walk */
	WEBB_SAMPLE = 7,      /* struct webb_sample, by the walk */
	WEBB_ALIVE = 8,	      /* struct webb_alive, by the walk */
	WEBB_FAR_LISTEN = 9,  /* struct webb_far_listen, by the pass over files */
	WEBB_TURNS = 10,      /* struct webb_turns: payload ring */
	WEBB_SAID = 11,	      /* struct webb_said, then pieces: payload ring */
	WEBB_EARLY = 12,      /* struct webb_said_at, then one piece: payload at a listener */
	WEBB_DATAGRAM = 13,   /* struct webb_said_at, then one piece */
	WEBB_TALK = 14,	      /* struct webb_talk, by the walk */
	WEBB_CERT = 15,	      /* struct webb_cert: payload ring */
};

enum webb_role {
	WEBB_UNKNOWN = 0,
	WEBB_CLIENT = 1,
	WEBB_SERVER = 2,
	WEBB_LISTENER = 3,
	WEBB_ROLES = 4,
};

/* How the role is known; numbers of model::RoleEvidence. */
enum webb_role_evidence {
	WEBB_SAW_CONNECT = 1,
	WEBB_CLONED = 2,
};

/* How the owner is known; numbers of model::OwnerEvidence. */
enum webb_owner_evidence {
	WEBB_OWNER_UNKNOWN = 0,
	WEBB_OWNER_INHERITED = 1,
	WEBB_OWNER_OPENED = 2,
	WEBB_OWNER_HOLDS = 3,
	WEBB_OWNER_CLOSED = 4,
};

enum webb_flags {
	WEBB_F_ADOPTED = 1,	/* open before the hooks were attached */
	WEBB_F_ESTABLISHED = 2, /* has been ESTABLISHED */
	WEBB_F_NO_PORT = 4,	/* connect() found no local port: no SYN was sent */
	WEBB_F_PEER_FIN = 8,	/* the peer's FIN was received */
	WEBB_F_LATE_DATA = 16,	/* data came after close(): our side answered with the reset */
};

/* Where the packets of a socket go, by the route that it has. */
enum webb_route {
	WEBB_R_KNOWN = 1,     /* it has one: without this, nothing is said of it */
	WEBB_R_WIREGUARD = 2, /* by a device of WireGuard */
	WEBB_R_CILIUM = 4,    /* ... which is Cilium's */
	WEBB_R_ESP = 8,	      /* by an ESP transform that encrypts */
};

struct webb_owner {
	__u64 start; /* start_boottime of the thread group leader: a pid may be reused */
	__u64 cgroup; /* of the process; of the socket where none is known */
	__u32 pid;
	__u32 evidence;
	char comm[16];
};

struct webb_record {
	__u8 kind;
	__u8 role;
	__u8 role_evidence;
	__u8 flags;
	__u8 old_state;
	__u8 state;
	__u16 err; /* sk_err */
	__u32 generation;
	__u32 netns; /* inode */
	__u64 at;
	__u64 cookie;
	__u64 netns_cookie;
	__u64 opened;
	__u64 established;
	__u8 local[16];
	__u8 peer[16];
	__u16 local_port;
	__u16 peer_port;
	__u32 isn_tx;
	__u32 isn_rx;
	__u32 retransmits;
	struct webb_owner owner;
	__u64 sent;
	__u64 received;
	__u32 srtt_us;	  /* 0 = none */
	__u32 min_rtt_us; /* ~0 = none */
	__u32 backlog;
	__u32 max_backlog;
	/* Of WEBB_ENDED: the last turns, where there are few; see struct webb_turns. */
	__u32 turn_from;
	__u8 turns;
	__u8 route; /* enum webb_route */
	__u8 pad[2];
	__u32 turn[WEBB_FEW_TURNS];
};

struct webb_sample {
	__u8 kind;
	__u8 pad[3];
	__u32 generation;
	__u64 at;
	__u64 cookie;
	__u64 netns_cookie;
	__u64 sent;
	__u64 received;
	__u32 srtt_us;
	__u32 min_rtt_us;
	__u32 retransmits;
	__u32 pad2;
};

struct webb_alive {
	__u8 kind;
	__u8 pad[3];
	__u32 generation;
	__u64 cookie;
	__u64 netns_cookie;
};

/* The address of a listener that is not watched: it tells who is the client of an adopted socket. */
struct webb_far_listen {
	__u8 kind;
	__u8 pad;
	__u16 port;
	__u32 netns;
	__u32 pass;
	__u32 pad2;
	__u8 addr[16];
};

/*
 * Turns: client bytes, then server bytes. A code is a class in the upper three bits and
 * microseconds in the lower 29. Codes of one socket are numbered from 0; a record may tell some
 * again that were told before.
 */
#define WEBB_TURN_CODES 16

enum webb_turn {
	WEBB_TURN_FIRST = 0,   /* last byte asked to first byte answered */
	WEBB_TURN_FULL = 1,    /* of the turn before: last byte asked to last byte answered */
	WEBB_TURN_OVERLAP = 2, /* the answer began before the server had all that was asked */
	WEBB_TURN_WAIT = 3,    /* like FIRST, after 10 s or more */
	WEBB_TURN_PUSH = 4,    /* the server spoke before it was asked anything */
	WEBB_TURN_STREAM = 5,  /* the answer of the turn before went on after a pause of 1 s */
};

struct webb_turns_head {
	__u8 kind;
	__u8 count;
	__u8 pad[2];
	__u32 generation;
	__u64 cookie;
	__u64 netns_cookie;
	__u64 at;
	__u32 from; /* number of the first code */
	__u32 pad2;
};

/* `count` codes; what follows them means nothing. */
struct webb_turns {
	struct webb_turns_head head;
	__u32 code[WEBB_TURN_CODES];
};

/* What was said: a batch of pieces, in the order in which they passed. */
struct webb_said {
	__u8 kind;
	__u8 pad;
	__u16 bytes; /* of pieces that follow */
	__u32 generation;
	__u64 cookie;
	__u64 netns_cookie;
	__u64 sent_last; /* how far each direction is, when it last moved; 0 = not yet */
	__u64 received_last;
	__u32 sent_end;
	__u32 received_end;
};

enum webb_piece_flags {
	WEBB_P_SENT = 1,     /* by this socket; else received */
	WEBB_P_IN_ORDER = 2, /* every byte before it was seen here */
	WEBB_P_COUNTED = 4,  /* of a datagram: it is counted in a webb_talk too */
};

/* `cap` bytes follow, filled up to a multiple of 8. */
struct webb_piece {
	__u64 at;
	__u64 turned; /* the other side spoke since the last piece in this direction: when, last */
	__u32 seq;
	__u32 ack;
	__u32 len;
	__u16 cap;
	__u8 flags;
	__u8 pad;
};

/* One piece with its addresses. Of a datagram seq and ack are 0. */
struct webb_said_at {
	__u8 kind;
	__u8 pad;
	__u16 bytes;
	__u32 netns;
	__u64 cookie;
	__u64 netns_cookie;
	__u8 local[16];
	__u8 peer[16];
	__u16 local_port;
	__u16 peer_port;
	__u32 generation;
	struct webb_owner owner;
};

enum webb_talk_flags {
	WEBB_T_SENT_FIRST = 1, /* this socket spoke first; else the peer */
	WEBB_T_OLD = 2,	       /* it may have begun before webb watched */
};

/* A conversation over UDP: what passed since it was told last. */
struct webb_talk {
	__u8 kind;
	__u8 flags;
	__u8 pad[2];
	__u32 netns;
	__u64 cookie;
	__u64 netns_cookie;
	__u64 first;
	__u64 last;
	__u8 local[16];
	__u8 peer[16];
	__u16 local_port;
	__u16 peer_port;
	__u32 pad2;
	__u64 bytes[2]; /* sent, received */
	__u64 packets[2];
	struct webb_owner owner;
};

/* A certificate that a process had from its peer: `cap` bytes of it follow, of a fixed room. */
struct webb_cert {
	__u8 kind;
	__u8 framed; /* it stands in its message */
	__u16 cap;
	__u32 generation;
	__u64 cookie;
	__u64 netns_cookie;
	__u64 at;
	__u32 len;
	__u32 pad2;
	__u8 before[8]; /* what stands before it there */
};

/* What user space says of a socket's content, by cookie. */
enum webb_mode {
	WEBB_MODE_MESSAGES = 0, /* the first bytes of each message */
	WEBB_MODE_FRAMES = 1,	/* HTTP/2: all frames, of DATA only the heads */
	WEBB_MODE_OFF = 2,	/* nothing */
	WEBB_MODE_TLS = 3,	/* heads of records, and what is in the clear; not for user space to say */
};

enum webb_decode {
	WEBB_DECODE_HELLO = 0, /* how connections begin, and TLS handshakes; nothing else */
	WEBB_DECODE_ON = 1,
	WEBB_DECODE_SHED = 2, /* for want of processor time: messages are counted, not captured */
};

/* Written by user space, one element. */
struct webb_config {
	__u32 scopes;	     /* entries used; 0 with all = 0 watches nothing */
	__u32 all;	     /* watch the whole host */
	__u32 self;	     /* our own process, left out */
	__u32 epoch;	     /* a socket described in an older epoch is described again */
	__u32 pass;	     /* number of the running or last pass over open files */
	__u32 pass_complete; /* the last pass that went through */
	__u32 decode;	     /* capture what is said: enum webb_decode */
	__u32 pad;
	__u64 scope_id[WEBB_SCOPES];
	__u32 scope_level[WEBB_SCOPES];
};

/* Counted per CPU, only ever added to; exact also when records are lost. */
struct webb_counts {
	__u64 opened[WEBB_ROLES];
	__u64 established[WEBB_ROLES];
	__u64 failed[WEBB_ROLES];
	__u64 closed[WEBB_ROLES];
	__u64 adopted[WEBB_ROLES];
	__u64 state_produced;
	__u64 state_lost;
	__u64 sample_produced;
	__u64 sample_lost;
	__u64 no_storage;
	__u64 pieces_produced;
	__u64 pieces_lost;
	__u64 turns_lost;
	__u64 messages_shed;
	__u64 datagrams_lost; /* no room for their conversation */
};

#endif
