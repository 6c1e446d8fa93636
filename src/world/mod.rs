//! Edges, slices, names: how they are merged, folded and looked at. No I/O, no clock.
//!
//! [`SliceBuilder`] makes slices at the agent; [`World`] puts slices together again at the viewer.
//! Grouping of entities into workloads happens only in [`World`], never in what is stored.

mod asked;
mod builder;
mod filter;
mod fold;
mod merge;
mod names;
mod rows;
pub mod security;
mod view;

pub use asked::{AskedPoint, Timed};
pub use builder::{Far, SliceBuilder};
pub use filter::{Filter, FilterError, Subject};
pub use merge::{close, merge_adjacent, merge_beside, merge_head, merge_later};
pub use names::{NameTable, Workload, WorkloadId};
pub use rows::{EdgeId, EdgeRow, Point, WorkloadRow};
pub use view::{Health, World};
