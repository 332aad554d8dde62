//! Disks that are slow, fail, or are full.
//!
//! Slow and failing: strace holds the threads of a running node that write its stores (`log-store`, `zone-store`) at every
//! fdatasync(2), or lets it fail, as a device that hangs or has died would. The system call, the thread and the error
//! are real; only the device is not. (Throttled block devices and device mapper are not to be had everywhere; what is
//! shared with other programs cannot be slowed down at all.) Threads that do not write are not traced.
//!
//! Full: a small tmpfs holds the node's directory, and a file takes what is left of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::named::Named;
use super::process::{Process, read_log};
use super::{Site, wait};

/// How the threads that write stores are named.
const WRITERS: [&str; 2] = ["log-store", "zone-store"];
const ATTACH_LIMIT: Duration = Duration::from_secs(20);

/// A tracer that makes the disk of one node bad, until it is dropped.
pub struct BadDisk {
    tracer: Option<Process>,
    trace: PathBuf,
}

impl BadDisk {
    /// Every sync takes `delay` longer.
    pub fn slow(site: &Site, node: &Named, delay: Duration) -> Option<BadDisk> {
        BadDisk::attach(site, node, &format!("delay_enter={}", delay.as_micros()))
    }

    /// The syncs from number `first` (from now on, per thread) fail with EIO.
    pub fn failing(site: &Site, node: &Named, first: u32) -> Option<BadDisk> {
        BadDisk::attach(site, node, &format!("error=EIO:when={first}+"))
    }

    /// Nothing if the node is gone before the tracer is there.
    fn attach(site: &Site, node: &Named, fault: &str) -> Option<BadDisk> {
        let pid = node.process().pid();
        let log = site.dir("strace").join(format!("{}.log", node.label()));
        // What it said of earlier runs does not count.
        std::fs::write(&log, "").expect("a log can be emptied");
        let trace = site.dir("strace").join(format!("{}.trace", node.label()));
        let threads = writers_of(pid);
        if threads.is_empty() {
            return None;
        }
        let mut command = Command::new("strace");
        // Each sync with its time and its file.
        command.args(["-y", "-ttt", "-e", "trace=fsync,fdatasync", "-o"]).arg(&trace);
        command.args(["-e", &format!("inject=fsync,fdatasync:{fault}")]);
        for thread in &threads {
            command.arg("-p").arg(thread.to_string());
        }
        let mut tracer = Process::start("strace", &mut command, &log);
        let attached = wait::until("strace to be attached", ATTACH_LIMIT, || {
            let count = tracer.log().matches("attached").count();
            if count == threads.len() { Some(true) } else { tracer.exited().map(|_| false) }
        });
        attached.then_some(BadDisk { tracer: Some(tracer), trace })
    }

    /// Lets go of the node, and returns what was seen of its syncs.
    pub fn trace(mut self) -> String {
        self.detach();
        read_log(&self.trace)
    }

    fn detach(&mut self) {
        // SIGTERM lets strace detach; killed, it would take its tracees with it or leave them stopped.
        if let Some(tracer) = self.tracer.take() {
            tracer.terminate(ATTACH_LIMIT);
        }
    }
}

impl Drop for BadDisk {
    fn drop(&mut self) {
        self.detach();
    }
}

/// The ids of the threads that write stores.
fn writers_of(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let is_writer = |path: &Path| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| WRITERS.contains(&comm.trim()))
    };
    let tasks = tasks.flatten().map(|task| task.path()).filter(|path| is_writer(path));
    tasks.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
}

/// A file system of a fixed size in memory, which can be filled. Unmounted when dropped.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `bytes` at an empty directory.
    pub fn mount(path: &Path, bytes: u64) -> SmallDisk {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "trimaran-test"]).arg(path);
        let output = command.output().expect("mount(8) is installed");
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "a tmpfs cannot be mounted here (root?): {reason}");
        SmallDisk { path: path.into() }
    }

    /// Takes all that is left.
    pub fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.ballast()).expect("a file can be made");
        let block = vec![0u8; 1 << 16];
        while file.write_all(&block).is_ok() {}
    }

    /// Gives it back.
    pub fn empty(&self) {
        // There may be none.
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node that is still about to be killed may have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
