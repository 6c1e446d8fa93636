//! Names of the numbers in a DNS message (IANA "Domain Name System (DNS) Parameters").

use std::borrow::Cow;

use crate::model::Verdict;

/// Type number of an A record (RFC 1035).
pub const A: u16 = 1;
/// Type number of a CNAME record (RFC 1035).
pub const CNAME: u16 = 5;
/// Type number of an AAAA record (RFC 3596).
pub const AAAA: u16 = 28;
pub(super) const SOA: u16 = 6;
pub(super) const OPT: u16 = 41;
pub(super) const IXFR: u16 = 251;
pub(super) const AXFR: u16 = 252;

/// The name of a type number, `TYPE1234` where it has none (RFC 3597 section 5).
pub fn type_name(kind: u16) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        A => "A",
        2 => "NS",
        CNAME => "CNAME",
        SOA => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        24 => "SIG",
        25 => "KEY",
        AAAA => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        37 => "CERT",
        39 => "DNAME",
        OPT => "OPT",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        62 => "CSYNC",
        63 => "ZONEMD",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        IXFR => "IXFR",
        AXFR => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        _ => return Cow::Owned(format!("TYPE{kind}")),
    })
}

/// The name of a response code, extended ones included; `RCODE12` where it has none.
pub fn rcode_name(rcode: u16) -> Cow<'static, str> {
    Cow::Borrowed(match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        _ => return Cow::Owned(format!("RCODE{rcode}")),
    })
}

/// What a response code means: that a name does not exist is kept apart from errors.
pub fn verdict(rcode: u16) -> Verdict {
    match rcode {
        0 => Verdict::Ok,
        3 => Verdict::ClientError,
        _ => Verdict::Error,
    }
}

/// What a request asks for: the type, or the operation where it is no query.
pub(super) fn method(opcode: u8, kind: Option<u16>) -> Cow<'static, str> {
    match (opcode, kind) {
        (0, Some(kind)) => type_name(kind),
        (0, None) => Cow::Borrowed(""),
        (1, _) => Cow::Borrowed("IQUERY"),
        (2, _) => Cow::Borrowed("STATUS"),
        (4, _) => Cow::Borrowed("NOTIFY"),
        (5, _) => Cow::Borrowed("UPDATE"),
        (6, _) => Cow::Borrowed("DSO"),
        _ => Cow::Owned(format!("OPCODE{opcode}")),
    }
}
