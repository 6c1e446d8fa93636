//! The security on the screen.
