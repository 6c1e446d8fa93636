//! Against the handshakes of `tests/tls`, of which the truth is known.

mod corpus;
mod damage;
mod handed;
mod pcap;
mod truth;
