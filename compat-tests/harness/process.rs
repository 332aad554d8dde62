//! One server process in the foreground: started, watched, ended by its pid.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait;

/// A running child whose output goes to a file. Killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    label: String,
}

impl Process {
    /// Starts `command` with its output appended to `log`.
    pub fn start(label: &str, command: &mut Command, log: &Path) -> Process {
        Process::start_reading(label, command, log, Stdio::null())
    }

    /// As [`Process::start`], with something to read: a pipe for [`Process::type_line`].
    pub fn start_reading(label: &str, command: &mut Command, log: &Path, input: Stdio) -> Process {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log can be opened");
        let duplicate = file.try_clone().expect("a file handle can be duplicated");
        let child = command
            .stdin(input)
            .stdout(duplicate)
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{label} does not start: {error}"));
        Process { child, log: log.into(), label: label.into() }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("pids fit"));
        // A process that is already gone has nothing to be told.
        let _ = kill(pid, signal);
    }

    /// Ends it as a power cut would (SIGKILL), and waits until it is gone.
    pub fn kill_nine(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("a killed child can be waited for");
    }

    /// Asks it to end (SIGTERM) and returns how it did.
    pub fn terminate(mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.await_end(limit)
    }

    /// Waits until it has ended and returns how it did.
    pub fn await_end(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.label);
        wait::until(&what, limit, || self.exited())
    }

    /// Writes a line to its standard input, which must be a pipe.
    pub fn type_line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("standard input is a pipe");
        writeln!(input, "{line}").expect("a running process reads its input");
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for")
    }

    /// Everything it has written, over all its runs with the same log.
    pub fn log(&self) -> String {
        read_log(&self.log)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }

    /// Processor time it has used, user and system.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // The second field is the command in parentheses and may hold spaces; utime and stime are fields 14 and 15.
        let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            behind.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(25)..].join("\n");
            eprintln!("--- end of the log of {} ({})\n{tail}", self.label, self.log.display());
        }
    }
}

/// A log as text, whatever bytes are in it.
pub fn read_log(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Resident memory of a process in bytes; zero if it is gone.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    kib * 1024
}
