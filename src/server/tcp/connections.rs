//! Which connections there are, and which one gives way when there are too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

/// All connections of a server.
pub(super) struct Connections {
    max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next_id: u64,
    connections: HashMap<u64, Connection>,
}

struct Connection {
    /// Requests that were read and not answered yet.
    owed: usize,
    /// When that last changed.
    since: Instant,
    evict: Arc<Notify>,
}

/// A connection's place; given back when dropped.
pub(super) struct Slot {
    id: u64,
    connections: Arc<Connections>,
    evict: Arc<Notify>,
}

/// An answer that somebody waits for, until dropped.
pub(super) struct Owed {
    id: u64,
    connections: Arc<Connections>,
}

impl Connections {
    pub(super) fn new(max: usize) -> Connections {
        Connections { max, table: Mutex::default() }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().connections.len()
    }

    /// A place for one more. If all are taken, the connection that owes nothing for longest is told to go;
    /// `None` if every one owes something.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let mut table = self.lock();
        if table.connections.len() >= self.max {
            let idle = table.connections.iter().filter(|(_, connection)| connection.owed == 0);
            let id = *idle.min_by_key(|(_, connection)| connection.since)?.0;
            let connection = table.connections.remove(&id).expect("found a moment ago");
            connection.evict.notify_one();
        }
        let id = table.next_id;
        table.next_id += 1;
        let evict = Arc::new(Notify::new());
        let connection = Connection { owed: 0, since: Instant::now(), evict: Arc::clone(&evict) };
        table.connections.insert(id, connection);
        Some(Slot { id, connections: Arc::clone(self), evict })
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.lock().connections.get_mut(&id) {
            change(connection);
            connection.since = Instant::now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no panic while the table is held")
    }
}

impl Slot {
    /// Notes that a request was read.
    pub(super) fn owe(&self) -> Owed {
        self.connections.change(self.id, |connection| connection.owed += 1);
        Owed { id: self.id, connections: Arc::clone(&self.connections) }
    }

    /// Whether a request is not answered yet.
    pub(super) fn is_owed(&self) -> bool {
        self.connections.lock().connections.get(&self.id).is_some_and(|connection| connection.owed > 0)
    }

    /// Waits until this connection has to go.
    pub(super) async fn evicted(&self) {
        self.evict.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().connections.remove(&self.id);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.connections.change(self.id, |connection| connection.owed -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_that_owes_nothing_for_longest_gives_way() {
        let connections = Arc::new(Connections::new(3));
        let [busy, idle, fresh] = [(); 3].map(|()| connections.admit().expect("room"));
        let owed = busy.owe();
        let id = idle.id;
        drop(fresh.owe());
        let newcomer = connections.admit().expect("the idle one gives way");
        assert_eq!(connections.count(), 3);
        assert!(!connections.lock().connections.contains_key(&id));

        // Its task notices later: nothing of that touches the others.
        drop(idle.owe());
        drop(idle);
        assert_eq!(connections.count(), 3);

        let debts = [fresh.owe(), newcomer.owe()];
        assert!(connections.admit().is_none(), "everybody waits for an answer");
        drop(owed);
        assert!(connections.admit().is_some());
        drop(debts);
    }

    #[test]
    fn a_place_is_given_back() {
        let connections = Arc::new(Connections::new(1));
        for _ in 0..3 {
            let slot = connections.admit().expect("room");
            assert!(!slot.is_owed());
            let owed = slot.owe();
            assert!(slot.is_owed());
            drop(slot);
            assert_eq!(connections.count(), 0);
            drop(owed);
        }
    }
}
