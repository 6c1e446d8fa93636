//! Where facts are born. A source knows sockets and processes; names and edges are made above.

pub mod probe;
pub mod sockdiag;
