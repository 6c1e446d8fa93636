//! Capture time, and what hostile files do with it.
