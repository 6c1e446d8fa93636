//! Captures of real servers and clients.
