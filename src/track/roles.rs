//! Roles of ends whose opening was not seen: from the set of listeners, or from the other end.

use super::table::Track;
use crate::model::{End, Role, RoleEvidence, View};

impl Track {
    /// Gives roles to a pair: `end` (not yet in its row) has `role`, as its sequence numbers or its
    /// own opening say; the other end of the row has the opposite one.
    pub(super) fn set_both_roles(&mut self, key: u64, end: &mut End, role: Role) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        row.connection.role_known = true;
        let mine_known = end.role != Role::Unknown;
        for view in [View::Client, View::Server] {
            let Some(other) = row.end_mut(view).filter(|o| o.id != end.id) else { continue };
            let other_known = other.role != Role::Unknown;
            if !other_known {
                other.role = role.other();
                other.role_evidence =
                    if mine_known { RoleEvidence::PeerRole } else { RoleEvidence::SequenceNumbers };
            }
            if !mine_known {
                end.role = role;
                end.role_evidence =
                    if other_known { RoleEvidence::PeerRole } else { RoleEvidence::SequenceNumbers };
            }
        }
    }

    /// The role of an end whose source tells no sequence numbers, while it is taken in: without one it
    /// could not meet its other end. Such a source reports listeners first.
    pub(super) fn role_without_numbers(&self, end: &mut End) {
        if end.role != Role::Unknown {
            return;
        }
        if let Some((role, evidence)) = self.listed_role(end) {
            end.role = role;
            end.role_evidence = evidence;
        }
    }

    /// Looks ends without a role up in the set of listeners. Called when a walk is over, because it
    /// meets listeners and connections in any order.
    pub(super) fn resolve_roles(&mut self) {
        for key in self.roleless() {
            let Some((view, role, evidence)) = self.role_by_listeners(key) else { continue };
            let stands_right = Option::<View>::from(role) == Some(view);
            if let Some(row) = self.rows.get_mut(&key) {
                row.connection.role_known = true;
                if let Some(end) = row.end_mut(view) {
                    end.role = role;
                    end.role_evidence = evidence;
                }
            }
            if !stands_right {
                self.flip(key);
            }
            self.touch(key);
            if let Some(at) = self.rows.get(&key).map(|row| row.connection.changed) {
                self.judge(key, at);
            }
            self.words_of(key);
        }
    }

    fn role_by_listeners(&self, key: u64) -> Option<(View, Role, RoleEvidence)> {
        let row = self.rows.get(&key)?;
        [View::Client, View::Server].into_iter().find_map(|view| {
            let (role, evidence) = self.listed_role(row.side(view).end.as_ref()?)?;
            Some((view, role, evidence))
        })
    }

    fn listed_role(&self, end: &End) -> Option<(Role, RoleEvidence)> {
        let netns = end.owner.netns;
        if self.listeners.serves(netns, end.local) {
            Some((Role::Server, RoleEvidence::InListenSet))
        } else if self.listeners.serves_peer(netns, end.peer) {
            Some((Role::Client, RoleEvidence::PeerInListenSet))
        } else {
            None
        }
    }

    fn roleless(&self) -> Vec<u64> {
        self.rows.iter().filter(|(_, row)| !row.connection.role_known).map(|(&key, _)| key).collect()
    }
}
