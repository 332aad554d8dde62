//! Reopened stores hold what was written, whatever was written and however they were closed.

use super::*;
use crate::store::database;
use proptest::prelude::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime")
}

fn entry(tag: u8, bytes: usize) -> EntryBytes {
    vec![tag; bytes].into()
}

async fn open(directory: &Path) -> Result<(LogStore, Identity, LogState), OpenError> {
    LogStore::open(directory, Some(founding(2, &[1, 2, 3]))).await
}

#[test]
fn every_statement_fits_the_schema() {
    let fixed =
        [CREATE, IS_FOUNDED, CONFIGURE_VERSION_1, START, READ_META, READ_ROWS, COMMIT, READ_PEER, WRITE_PEER];
    let fixed = fixed.into_iter().chain([LIMIT_DECIDED]);
    let parts = REWRITE.split(';').chain(PREALLOCATE.split(';').take(1));
    let all = fixed.chain(parts).chain(INSERTS.iter().map(String::as_str));
    runtime().block_on(database::tests::check_statements(&KIND, all));
}

fn founding(node_id: u64, members: &[u64]) -> Founding<'_> {
    Founding { node_id, store_id: None, members, configuration: b"founding" }
}

#[test]
fn a_new_store_begins_as_it_was_founded_and_an_old_one_keeps_what_it_has() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("temporary directory");
        let empty = LogStore::open(directory.path(), None).await.expect_err("nothing there");
        assert!(matches!(empty, OpenError::Empty { .. }), "{empty}");
        let (mut store, _, state) = open(directory.path()).await.expect("new store");
        assert_eq!(*state.configuration, *b"founding");
        let configure = LogOp::Configure { base: 7, configuration: entry(9, 3) };
        store.commit(vec![configure]).await.expect("commit");
        store.close().await.expect("close");
        let grown = LogStore::open(directory.path(), Some(founding(2, &[2])));
        let (_, _, state) = grown.await.expect("named.conf is not asked any more");
        assert_eq!((state.configuration, state.compacted_index, state.decided_index), (entry(9, 3), 7, 7));
    });
}

#[test]
fn a_store_of_the_first_version_gets_the_configuration_of_its_members() {
    const VERSION_1: Kind = Kind { migrations: &[include_str!("../schema/log_1.sql")], ..KIND };
    const OLD: &str = "INSERT INTO meta VALUES (1, 77, 2, '1,2,3', 4, 0, 1, 99, 5, 0, 1, 99, 4, 0, 3); \
         INSERT INTO log VALUES (0, 0, x'01'), (1, 1, x'02')";
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut old = Database::open(directory.path(), &VERSION_1).await.expect("version 1");
        sqlx::raw_sql(OLD).execute(&mut old.connection).await.expect("rows");
        old.close().await.expect("close");
        for (members, said) in [(&[2][..], "the single node 2"), (&[1, 2, 3, 4, 5], "1,2,3,4,5")] {
            let error = LogStore::open(directory.path(), Some(founding(2, members))).await;
            let error = error.expect_err("other members").to_string();
            assert!(error.contains("a cluster of the members 1,2,3, "), "{error}");
            assert!(error.ends_with(said), "{error}");
        }
        LogStore::open(directory.path(), None).await.expect_err("nobody says what their addresses are");
        let (store, identity, state) = open(directory.path()).await.expect("the same members");
        assert_eq!(identity, Identity { store_id: 77, node_id: 2, incarnation: 5 });
        let ballot = |number, pid| Some(Ballot { configuration: 1, number, priority: 0, pid });
        let expected = LogState {
            promise: ballot(5, 1),
            accepted: ballot(4, 3),
            decided_index: 1,
            compacted_index: 0,
            entries: [entry(1, 1), entry(2, 1)].into(),
            configuration: b"founding"[..].into(),
        };
        assert_eq!(state, expected);
        store.close().await.expect("close");
        let (_, _, again) = LogStore::open(directory.path(), None).await.expect("it has been written down");
        assert_eq!(again, expected);
    });
}

/// What a property run does: an operation, chosen relative to the state so that it is a legal one.
#[derive(Clone, Debug)]
enum Step {
    Append {
        back: u64,
        entries: Vec<u8>,
    },
    Promise(u32),
    Accepted(u32),
    Decided(u64),
    Compact(i64),
    Configure(i64),
    Commit,
    /// The process is killed: what it has written stays, what it had in memory is gone.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u64, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(back, entries)| Step::Append { back: back.saturating_sub(1), entries }),
        1 => any::<u32>().prop_map(Step::Promise),
        1 => any::<u32>().prop_map(Step::Accepted),
        2 => (0..5_u64).prop_map(Step::Decided),
        1 => (-20..4_i64).prop_map(Step::Compact),
        1 => (-20..4_i64).prop_map(Step::Configure),
        4 => Just(Step::Commit),
        1 => Just(Step::Kill),
    ]
}

fn op(step: &Step, state: &LogState) -> Option<LogOp> {
    let ballot = |number| Ballot { configuration: 1, number, priority: 7, pid: u64::MAX };
    Some(match step {
        Step::Append { back, entries } => LogOp::Append {
            from: state.end().saturating_sub(*back).max(state.compacted_index).max(state.decided_index),
            entries: entries.iter().map(|tag| entry(*tag, usize::from(*tag))).collect(),
        },
        Step::Promise(number) => LogOp::Promise(ballot(*number)),
        Step::Accepted(number) => LogOp::Accepted(ballot(*number)),
        Step::Decided(more) => LogOp::Decided((state.decided_index + more).min(state.end())),
        Step::Compact(offset) => LogOp::Compact(state.end().saturating_add_signed(*offset)),
        Step::Configure(offset) => LogOp::Configure {
            base: state.end().saturating_add_signed(*offset).max(state.compacted_index),
            configuration: entry(*offset as u8, 5),
        },
        Step::Commit | Step::Kill => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_killed_process_finds_the_state_that_it_committed(steps in prop::collection::vec(step(), 1..60)) {
        runtime().block_on(async {
            let mut directory = tempfile::tempdir().expect("temporary directory");
            let (mut store, _, mut committed) = open(directory.path()).await.expect("new store");
            let (mut state, mut pending) = (committed.clone(), Vec::new());
            for step in steps.iter().chain([&Step::Commit, &Step::Kill]) {
                if let Some(op) = op(step, &state) {
                    state.apply(&op);
                    pending.push(op);
                } else if matches!(step, Step::Commit) {
                    store.commit(std::mem::take(&mut pending)).await.expect("commit");
                    committed = state.clone();
                } else {
                    pending.clear();
                    state = committed.clone();
                    // The files as they are while the store is open: nobody closed them.
                    let copy = tempfile::tempdir().expect("temporary directory");
                    for file in ["log.sqlite", "log.sqlite-wal"] {
                        std::fs::copy(directory.path().join(file), copy.path().join(file)).expect("copy");
                    }
                    directory = copy;
                    let read;
                    (store, _, read) = open(directory.path()).await.expect("reopen");
                    assert_eq!(read, committed);
                }
            }
        });
    }
}

#[test]
fn a_store_keeps_its_identity_and_counts_its_starts() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (mut store, first, _) = open(directory.path()).await.expect("new store");
        assert_eq!((first.node_id, first.incarnation), (2, 1));
        assert_eq!(store.peer_store_id(3).await.expect("read"), None);
        store.set_peer_store_id(3, u64::MAX).await.expect("write");
        store.close().await.expect("close");
        let (mut store, second, _) =
            LogStore::open(directory.path(), None).await.expect("the directory tells");
        assert_eq!(second, Identity { incarnation: 2, ..first });
        assert_eq!(store.peer_store_id(3).await.expect("read"), Some(u64::MAX));
    });
}

#[test]
fn files_that_are_not_ours_are_refused_with_the_reason() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (mut store, ..) = open(directory.path()).await.expect("new store");
        let held = open(directory.path()).await.expect_err("second open").to_string();
        assert!(held.contains("trimaran.lock is held by process"), "{held}");
        let entries = (0..200).map(|tag| entry(tag, 3000)).collect();
        store.commit(vec![LogOp::Append { from: 0, entries }]).await.expect("commit");
        store.close().await.expect("close");
        let other = LogStore::open(directory.path(), Some(founding(1, &[1, 2, 3])));
        let other = other.await.expect_err("other node");
        assert!(other.to_string().ends_with("belongs to node 2, the configuration says node 1"), "{other}");
        let path = directory.path().join(KIND.file_name);
        let good = std::fs::read(&path).expect("the file");
        let damaged = |damage: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            damage(&mut bytes);
            bytes
        };
        let half = good.len() / 2;
        for (bytes, said) in [
            (damaged(&|b| b.truncate(50)), "it ends after 50 bytes"),
            (damaged(&|b| b.truncate(half)), "its header says"),
            (damaged(&|b| b[..16].fill(b'x')), "it is not an SQLite database"),
            (damaged(&|b| b[68..72].fill(9)), "it is a database of another program"),
            (damaged(&|b| b[60..64].copy_from_slice(&[0, 0, 0, 9])), "has schema version 9"),
            (damaged(&|b| b[4096..].fill(0x5a)), "is corrupt"),
        ] {
            std::fs::write(&path, &bytes).expect("write");
            let error = open(directory.path()).await.map(drop).expect_err(said).to_string();
            assert!(error.contains("log.sqlite") && error.contains(said), "{said}: {error}");
        }
        std::fs::write(&path, &good).expect("write");
        let (.., state) = open(directory.path()).await.expect("the good file again");
        assert_eq!(state.end(), 200);
    });
}

#[test]
fn a_log_with_a_hole_is_refused() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (mut store, ..) = open(directory.path()).await.expect("new store");
        let entries = (0..5).map(|tag| entry(tag, 10)).collect();
        store.commit(vec![LogOp::Append { from: 0, entries }]).await.expect("commit");
        let hole = sqlx::query("DELETE FROM log WHERE log_index = 3");
        hole.execute(&mut store.database.connection).await.expect("delete");
        store.close().await.expect("close");
        let error = open(directory.path()).await.expect_err("hole").to_string();
        assert!(error.ends_with("log entry 3 is missing, 4 comes next"), "{error}");
    });
}
