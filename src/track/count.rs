//! Counted steps, given to the slice that is being built.

use std::cell::RefCell;

use super::delta::{Counted, Step};
use super::table::Track;
use crate::model::{BootNs, View};
use crate::world::SliceBuilder;

impl Track {
    /// [`Track::seal`] into a slice; how many steps belong to one that is sealed already.
    pub fn seal_into(&mut self, start: BootNs, end: BootNs, builder: &mut SliceBuilder) -> u64 {
        let mut late = 0;
        let builder = RefCell::new(builder);
        self.seal(
            start,
            end,
            |c| {
                late += u64::from(c.late);
                count(&mut builder.borrow_mut(), c);
            },
            |edge, far, view, security| {
                let mut builder = builder.borrow_mut();
                let n = builder.edge(edge, far).view_mut(view);
                n.open += 1;
                if let Some(security) = security {
                    n.secured.get_or_insert_default().open[security.index()] += 1;
                }
            },
            |edge, far, view, asked| {
                builder.borrow_mut().edge(edge, far).view_mut(view).asked_mut().merge(&asked);
            },
        );
        late
    }

    /// The slice that is counted now ends there, where it is not as long as the last one, or does
    /// not follow on it.
    pub fn slice_ends(&mut self, end: BootNs) {
        self.asked.slice_end = end;
    }
}

/// Gives one step to its edge.
fn count(builder: &mut SliceBuilder, c: Counted) {
    let edge = builder.edge(c.edge, c.far);
    let n = edge.view_mut(c.view);
    match c.step {
        Step::Opened => n.opened += 1,
        Step::Established(us) => {
            n.established += 1;
            if let Some(us) = us {
                n.connect_us.record(us);
            }
        }
        Step::Adopted => n.adopted += 1,
        Step::Closed => {
            n.closed += 1;
            if let Some(security) = c.security {
                n.secured.get_or_insert_default().closed[security.index()] += 1;
            }
            edge.count_outcome(c.view, c.outcome);
        }
        Step::Failed => edge.count_outcome(c.view, c.outcome),
        Step::Traffic { sent, received, retransmits, srtt_us } => {
            let (to_server, to_client) = match c.view {
                View::Client => (sent, received),
                View::Server => (received, sent),
            };
            n.bytes_to_server += to_server;
            n.bytes_to_client += to_client;
            n.retransmits += u64::from(retransmits);
            if let Some(us) = srtt_us {
                n.srtt_us.record(us.into());
            }
        }
    }
}
