//! The names of Redis commands (<https://redis.io/commands>): only these are told without a copy, and
//! only the subcommands listed here are told at all, since other words may be keys.

use std::borrow::Cow;

/// What a command does to the order of replies, as far as it is not one command, one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// One command, one reply.
    Plain,
    /// The same; the first argument is a subcommand.
    Container,
    /// `CLIENT`: a container; `CLIENT REPLY` decides whether there are replies.
    Client,
    /// The reply waits for something to happen.
    Wait,
    /// The reply waits if there is an argument `BLOCK`.
    Blockable,
    /// One confirmation per channel, and messages from then on (or until then).
    Subscribe,
    /// A reply, and a line per command of anybody from then on.
    Monitor,
    /// The replication stream comes instead of replies from then on.
    Sync,
    /// `RESET`: the connection is as if new.
    Reset,
    /// `EXEC`: a list of replies, each of which may be an error.
    Exec,
}

/// Longest name that is told, subcommand apart.
const LONGEST: usize = 24;

/// The name of a command as it is told (upper case; an unknown one is cut to 24 characters, and
/// what is not printable in it is a `?`), and its class. `None` for an empty one.
#[inline]
pub(super) fn command(word: &[u8]) -> Option<(Cow<'static, str>, Class)> {
    if let Some((name, class)) = known(word) {
        return Some((Cow::Borrowed(name), class));
    }
    let printable = |b: &u8| if b.is_ascii_graphic() { char::from(b.to_ascii_uppercase()) } else { '?' };
    let name: String = word.iter().take(LONGEST).map(printable).collect();
    (!name.is_empty()).then_some((Cow::Owned(name), Class::Plain))
}

/// The same for a listed command only.
#[inline]
pub(super) fn known(word: &[u8]) -> Option<(&'static str, Class)> {
    if word.len() > LONGEST {
        return None;
    }
    let mut slot = hash(word);
    loop {
        let (name, class) = COMMANDS.get(usize::from(*SLOTS.get(slot)?).checked_sub(1)?)?;
        if name.as_bytes().eq_ignore_ascii_case(word) {
            return Some((name, *class));
        }
        slot = (slot + 1) % SLOTS.len();
    }
}

/// Where to look for a name in [`SLOTS`], whatever its case.
const fn hash(mut word: &[u8]) -> usize {
    let mut hash = 0u32;
    while let [first, rest @ ..] = word {
        hash = hash.wrapping_mul(31).wrapping_add((*first | 0x20) as u32);
        word = rest;
    }
    (hash.wrapping_mul(0x9e37_79b1) >> 22) as usize
}

/// A hash table of [`COMMANDS`]: index plus one, 0 where there is none; the next slot on collision.
static SLOTS: [u16; 1 << 10] = {
    let mut slots = [0u16; 1 << 10];
    let mut i = 0;
    while i < COMMANDS.len() {
        let mut slot = hash(COMMANDS[i].0.as_bytes());
        while slots[slot] != 0 {
            slot = (slot + 1) % slots.len();
        }
        i += 1;
        slots[slot] = i as u16;
    }
    slots
};

/// The full name of a container's subcommand: (`CLIENT`, `setinfo`) is `CLIENT SETINFO`. `None` for
/// one that is not listed.
pub(super) fn subcommand(container: &str, word: &[u8]) -> Option<&'static str> {
    let full = SUBCOMMANDS.iter().find(|full| {
        full.split_once(' ')
            .is_some_and(|(first, second)| first == container && second.as_bytes().eq_ignore_ascii_case(word))
    })?;
    Some(full)
}

/// All commands with their classes.
#[rustfmt::skip]
static COMMANDS: [(&str, Class); 267] = [
    ("ACL", Class::Container), ("APPEND", Class::Plain), ("ASKING", Class::Plain), ("AUTH", Class::Plain),
    ("BF.ADD", Class::Plain), ("BF.EXISTS", Class::Plain), ("BGREWRITEAOF", Class::Plain),
    ("BGSAVE", Class::Plain), ("BITCOUNT", Class::Plain), ("BITFIELD", Class::Plain),
    ("BITFIELD_RO", Class::Plain), ("BITOP", Class::Plain), ("BITPOS", Class::Plain),
    ("BLMOVE", Class::Wait), ("BLMPOP", Class::Wait), ("BLPOP", Class::Wait), ("BRPOP", Class::Wait),
    ("BRPOPLPUSH", Class::Wait), ("BZMPOP", Class::Wait), ("BZPOPMAX", Class::Wait),
    ("BZPOPMIN", Class::Wait), ("CLIENT", Class::Client), ("CLUSTER", Class::Container),
    ("COMMAND", Class::Container), ("CONFIG", Class::Container), ("COPY", Class::Plain),
    ("DBSIZE", Class::Plain), ("DEBUG", Class::Container), ("DECR", Class::Plain), ("DECRBY", Class::Plain),
    ("DEL", Class::Plain), ("DISCARD", Class::Plain), ("DUMP", Class::Plain), ("ECHO", Class::Plain),
    ("EVAL", Class::Plain), ("EVALSHA", Class::Plain), ("EVALSHA_RO", Class::Plain),
    ("EVAL_RO", Class::Plain), ("EXEC", Class::Exec), ("EXISTS", Class::Plain), ("EXPIRE", Class::Plain),
    ("EXPIREAT", Class::Plain), ("EXPIRETIME", Class::Plain), ("FAILOVER", Class::Plain),
    ("FCALL", Class::Plain), ("FCALL_RO", Class::Plain), ("FLUSHALL", Class::Plain),
    ("FLUSHDB", Class::Plain), ("FT.AGGREGATE", Class::Plain), ("FT.CREATE", Class::Plain),
    ("FT.SEARCH", Class::Plain), ("FUNCTION", Class::Container), ("GEOADD", Class::Plain),
    ("GEODIST", Class::Plain), ("GEOHASH", Class::Plain), ("GEOPOS", Class::Plain),
    ("GEORADIUS", Class::Plain), ("GEORADIUSBYMEMBER", Class::Plain),
    ("GEORADIUSBYMEMBER_RO", Class::Plain), ("GEORADIUS_RO", Class::Plain), ("GEOSEARCH", Class::Plain),
    ("GEOSEARCHSTORE", Class::Plain), ("GET", Class::Plain), ("GETBIT", Class::Plain),
    ("GETDEL", Class::Plain), ("GETEX", Class::Plain), ("GETRANGE", Class::Plain), ("GETSET", Class::Plain),
    ("HDEL", Class::Plain), ("HELLO", Class::Plain), ("HEXISTS", Class::Plain), ("HEXPIRE", Class::Plain),
    ("HEXPIREAT", Class::Plain), ("HEXPIRETIME", Class::Plain), ("HGET", Class::Plain),
    ("HGETALL", Class::Plain), ("HGETDEL", Class::Plain), ("HGETEX", Class::Plain),
    ("HINCRBY", Class::Plain), ("HINCRBYFLOAT", Class::Plain), ("HKEYS", Class::Plain),
    ("HLEN", Class::Plain), ("HMGET", Class::Plain), ("HMSET", Class::Plain), ("HPERSIST", Class::Plain),
    ("HPEXPIRE", Class::Plain), ("HPEXPIREAT", Class::Plain), ("HPEXPIRETIME", Class::Plain),
    ("HPTTL", Class::Plain), ("HRANDFIELD", Class::Plain), ("HSCAN", Class::Plain), ("HSET", Class::Plain),
    ("HSETEX", Class::Plain), ("HSETNX", Class::Plain), ("HSTRLEN", Class::Plain), ("HTTL", Class::Plain),
    ("HVALS", Class::Plain), ("INCR", Class::Plain), ("INCRBY", Class::Plain),
    ("INCRBYFLOAT", Class::Plain), ("INFO", Class::Plain), ("JSON.ARRAPPEND", Class::Plain),
    ("JSON.DEL", Class::Plain), ("JSON.GET", Class::Plain), ("JSON.MGET", Class::Plain),
    ("JSON.SET", Class::Plain), ("KEYS", Class::Plain), ("LASTSAVE", Class::Plain),
    ("LATENCY", Class::Container), ("LCS", Class::Plain), ("LINDEX", Class::Plain),
    ("LINSERT", Class::Plain), ("LLEN", Class::Plain), ("LMOVE", Class::Plain), ("LMPOP", Class::Plain),
    ("LOLWUT", Class::Plain), ("LPOP", Class::Plain), ("LPOS", Class::Plain), ("LPUSH", Class::Plain),
    ("LPUSHX", Class::Plain), ("LRANGE", Class::Plain), ("LREM", Class::Plain), ("LSET", Class::Plain),
    ("LTRIM", Class::Plain), ("MEMORY", Class::Container), ("MGET", Class::Plain),
    ("MIGRATE", Class::Plain), ("MODULE", Class::Container), ("MONITOR", Class::Monitor),
    ("MOVE", Class::Plain), ("MSET", Class::Plain), ("MSETNX", Class::Plain), ("MULTI", Class::Plain),
    ("OBJECT", Class::Container), ("PERSIST", Class::Plain), ("PEXPIRE", Class::Plain),
    ("PEXPIREAT", Class::Plain), ("PEXPIRETIME", Class::Plain), ("PFADD", Class::Plain),
    ("PFCOUNT", Class::Plain), ("PFDEBUG", Class::Plain), ("PFMERGE", Class::Plain),
    ("PFSELFTEST", Class::Plain), ("PING", Class::Plain), ("PSETEX", Class::Plain),
    ("PSUBSCRIBE", Class::Subscribe), ("PSYNC", Class::Sync), ("PTTL", Class::Plain),
    ("PUBLISH", Class::Plain), ("PUBSUB", Class::Container), ("PUNSUBSCRIBE", Class::Subscribe),
    ("QUIT", Class::Plain), ("RANDOMKEY", Class::Plain), ("READONLY", Class::Plain),
    ("READWRITE", Class::Plain), ("RENAME", Class::Plain), ("RENAMENX", Class::Plain),
    ("REPLCONF", Class::Plain), ("REPLICAOF", Class::Plain), ("RESET", Class::Reset),
    ("RESTORE", Class::Plain), ("RESTORE-ASKING", Class::Plain), ("ROLE", Class::Plain),
    ("RPOP", Class::Plain), ("RPOPLPUSH", Class::Plain), ("RPUSH", Class::Plain), ("RPUSHX", Class::Plain),
    ("SADD", Class::Plain), ("SAVE", Class::Plain), ("SCAN", Class::Plain), ("SCARD", Class::Plain),
    ("SCRIPT", Class::Container), ("SDIFF", Class::Plain), ("SDIFFSTORE", Class::Plain),
    ("SELECT", Class::Plain), ("SENTINEL", Class::Container), ("SET", Class::Plain),
    ("SETBIT", Class::Plain), ("SETEX", Class::Plain), ("SETNX", Class::Plain), ("SETRANGE", Class::Plain),
    ("SHUTDOWN", Class::Plain), ("SINTER", Class::Plain), ("SINTERCARD", Class::Plain),
    ("SINTERSTORE", Class::Plain), ("SISMEMBER", Class::Plain), ("SLAVEOF", Class::Plain),
    ("SLOWLOG", Class::Container), ("SMEMBERS", Class::Plain), ("SMISMEMBER", Class::Plain),
    ("SMOVE", Class::Plain), ("SORT", Class::Plain), ("SORT_RO", Class::Plain), ("SPOP", Class::Plain),
    ("SPUBLISH", Class::Plain), ("SRANDMEMBER", Class::Plain), ("SREM", Class::Plain),
    ("SSCAN", Class::Plain), ("SSUBSCRIBE", Class::Subscribe), ("STRLEN", Class::Plain),
    ("SUBSCRIBE", Class::Subscribe), ("SUBSTR", Class::Plain), ("SUNION", Class::Plain),
    ("SUNIONSTORE", Class::Plain), ("SUNSUBSCRIBE", Class::Subscribe), ("SWAPDB", Class::Plain),
    ("SYNC", Class::Sync), ("TIME", Class::Plain), ("TOUCH", Class::Plain), ("TS.ADD", Class::Plain),
    ("TS.GET", Class::Plain), ("TS.RANGE", Class::Plain), ("TTL", Class::Plain), ("TYPE", Class::Plain),
    ("UNLINK", Class::Plain), ("UNSUBSCRIBE", Class::Subscribe), ("UNWATCH", Class::Plain),
    ("WAIT", Class::Wait), ("WAITAOF", Class::Wait), ("WATCH", Class::Plain), ("XACK", Class::Plain),
    ("XADD", Class::Plain), ("XAUTOCLAIM", Class::Plain), ("XCLAIM", Class::Plain), ("XDEL", Class::Plain),
    ("XGROUP", Class::Container), ("XINFO", Class::Container), ("XLEN", Class::Plain),
    ("XPENDING", Class::Plain), ("XRANGE", Class::Plain), ("XREAD", Class::Blockable),
    ("XREADGROUP", Class::Blockable), ("XREVRANGE", Class::Plain), ("XSETID", Class::Plain),
    ("XTRIM", Class::Plain), ("ZADD", Class::Plain), ("ZCARD", Class::Plain), ("ZCOUNT", Class::Plain),
    ("ZDIFF", Class::Plain), ("ZDIFFSTORE", Class::Plain), ("ZINCRBY", Class::Plain),
    ("ZINTER", Class::Plain), ("ZINTERCARD", Class::Plain), ("ZINTERSTORE", Class::Plain),
    ("ZLEXCOUNT", Class::Plain), ("ZMPOP", Class::Plain), ("ZMSCORE", Class::Plain),
    ("ZPOPMAX", Class::Plain), ("ZPOPMIN", Class::Plain), ("ZRANDMEMBER", Class::Plain),
    ("ZRANGE", Class::Plain), ("ZRANGEBYLEX", Class::Plain), ("ZRANGEBYSCORE", Class::Plain),
    ("ZRANGESTORE", Class::Plain), ("ZRANK", Class::Plain), ("ZREM", Class::Plain),
    ("ZREMRANGEBYLEX", Class::Plain), ("ZREMRANGEBYRANK", Class::Plain), ("ZREMRANGEBYSCORE", Class::Plain),
    ("ZREVRANGE", Class::Plain), ("ZREVRANGEBYLEX", Class::Plain), ("ZREVRANGEBYSCORE", Class::Plain),
    ("ZREVRANK", Class::Plain), ("ZSCAN", Class::Plain), ("ZSCORE", Class::Plain), ("ZUNION", Class::Plain),
    ("ZUNIONSTORE", Class::Plain),
];

/// All subcommands that are told.
#[rustfmt::skip]
static SUBCOMMANDS: [&str; 138] = [
    "ACL CAT", "ACL DELUSER", "ACL DRYRUN", "ACL GENPASS", "ACL GETUSER", "ACL HELP", "ACL LIST",
    "ACL LOAD", "ACL LOG", "ACL SAVE", "ACL SETUSER", "ACL USERS", "ACL WHOAMI", "CLIENT CACHING",
    "CLIENT GETNAME", "CLIENT GETREDIR", "CLIENT HELP", "CLIENT ID", "CLIENT INFO", "CLIENT KILL",
    "CLIENT LIST", "CLIENT NO-EVICT", "CLIENT NO-TOUCH", "CLIENT PAUSE", "CLIENT REPLY", "CLIENT SETINFO",
    "CLIENT SETNAME", "CLIENT TRACKING", "CLIENT TRACKINGINFO", "CLIENT UNBLOCK", "CLIENT UNPAUSE",
    "CLUSTER ADDSLOTS", "CLUSTER ADDSLOTSRANGE", "CLUSTER BUMPEPOCH", "CLUSTER COUNTKEYSINSLOT",
    "CLUSTER DELSLOTS", "CLUSTER DELSLOTSRANGE", "CLUSTER FAILOVER", "CLUSTER FLUSHSLOTS", "CLUSTER FORGET",
    "CLUSTER GETKEYSINSLOT", "CLUSTER INFO", "CLUSTER KEYSLOT", "CLUSTER LINKS", "CLUSTER MEET",
    "CLUSTER MYID", "CLUSTER MYSHARDID", "CLUSTER NODES", "CLUSTER REPLICAS", "CLUSTER REPLICATE",
    "CLUSTER RESET", "CLUSTER SAVECONFIG", "CLUSTER SETSLOT", "CLUSTER SHARDS", "CLUSTER SLAVES",
    "CLUSTER SLOTS", "COMMAND COUNT", "COMMAND DOCS", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS",
    "COMMAND INFO", "COMMAND LIST", "CONFIG GET", "CONFIG HELP", "CONFIG RESETSTAT", "CONFIG REWRITE",
    "CONFIG SET", "DEBUG JMAP", "DEBUG OBJECT", "DEBUG RELOAD", "DEBUG SEGFAULT", "DEBUG SLEEP",
    "FUNCTION DELETE", "FUNCTION DUMP", "FUNCTION FLUSH", "FUNCTION KILL", "FUNCTION LIST", "FUNCTION LOAD",
    "FUNCTION RESTORE", "FUNCTION STATS", "LATENCY DOCTOR", "LATENCY GRAPH", "LATENCY HISTOGRAM",
    "LATENCY HISTORY", "LATENCY LATEST", "LATENCY RESET", "MEMORY DOCTOR", "MEMORY MALLOC-STATS",
    "MEMORY PURGE", "MEMORY STATS", "MEMORY USAGE", "MODULE LIST", "MODULE LOAD", "MODULE LOADEX",
    "MODULE UNLOAD", "OBJECT ENCODING", "OBJECT FREQ", "OBJECT IDLETIME", "OBJECT REFCOUNT",
    "PUBSUB CHANNELS", "PUBSUB NUMPAT", "PUBSUB NUMSUB", "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB",
    "SCRIPT DEBUG", "SCRIPT EXISTS", "SCRIPT FLUSH", "SCRIPT KILL", "SCRIPT LOAD", "SENTINEL CKQUORUM",
    "SENTINEL CONFIG", "SENTINEL FAILOVER", "SENTINEL FLUSHCONFIG", "SENTINEL GET-MASTER-ADDR-BY-NAME",
    "SENTINEL INFO-CACHE", "SENTINEL IS-MASTER-DOWN-BY-ADDR", "SENTINEL MASTER", "SENTINEL MASTERS",
    "SENTINEL MONITOR", "SENTINEL MYID", "SENTINEL PENDING-SCRIPTS", "SENTINEL REMOVE", "SENTINEL REPLICAS",
    "SENTINEL RESET", "SENTINEL SENTINELS", "SENTINEL SET", "SENTINEL SLAVES", "SLOWLOG GET", "SLOWLOG LEN",
    "SLOWLOG RESET", "XGROUP CREATE", "XGROUP CREATECONSUMER", "XGROUP DELCONSUMER", "XGROUP DESTROY",
    "XGROUP SETID", "XINFO CONSUMERS", "XINFO GROUPS", "XINFO STREAM",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_command_is_found() {
        for (name, class) in COMMANDS {
            assert_eq!(known(name.to_lowercase().as_bytes()), Some((name, class)));
        }
        assert_eq!(known(b"GETT"), None);
        assert_eq!(known(b""), None);
        assert_eq!(known(&[b'A'; 100]), None);
    }

    #[test]
    fn every_listed_subcommand_belongs_to_a_container() {
        for full in SUBCOMMANDS {
            let (container, sub) = full.split_once(' ').unwrap();
            assert!(matches!(known(container.as_bytes()), Some((_, Class::Container | Class::Client))));
            assert_eq!(subcommand(container, sub.to_lowercase().as_bytes()), Some(full));
        }
        assert_eq!(subcommand("OBJECT", b"mykey"), None);
    }

    #[test]
    fn unknown_names_are_cut_and_printable() {
        let (name, class) = command(b"my.module\x1b[31mcommand-with-a-long-name").unwrap();
        assert_eq!((name.as_ref(), class), ("MY.MODULE?[31MCOMMAND-WI", Class::Plain));
        assert_eq!(command(b""), None);
    }
}
