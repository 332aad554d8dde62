//! What is shown on a terminal while a large zone is worked on.
//!
//! ```text
//! during(stage, work):   this thread ─── work ────────────────► result
//!                        another one ─── a second of patience ─── draws ─── clears its line
//! ```
//!
//! The line is gone before anything else is printed. Without a terminal there is neither a thread nor a line.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock;
use crate::zonefile::Progress;

/// What takes less is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Shows that work goes on, and how far it is.
pub(super) struct Bar {
    since: Instant,
    /// Nothing if nobody looks.
    progress: Option<Arc<Progress>>,
}

impl Bar {
    /// A line on standard error if that is a terminal.
    pub(super) fn on_terminal() -> Bar {
        let progress = io::stderr().is_terminal().then(Arc::default);
        Bar { since: clock::monotonic(), progress }
    }

    /// Never a line.
    pub(super) fn off() -> Bar {
        Bar { since: clock::monotonic(), progress: None }
    }

    /// What the reader shall fill in.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }

    /// Does `work`, and shows `stage` if everything together takes longer than a second.
    pub(super) fn during<T>(&self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let Some(progress) = &self.progress else { return work() };
        let patience = PATIENCE.saturating_sub(self.since.elapsed());
        std::thread::scope(|scope| {
            let (done, wait) = mpsc::channel();
            scope.spawn(move || draw(stage, progress, patience, &wait));
            let result = work();
            // The other end notices, and the scope waits until the line is gone.
            drop::<mpsc::Sender<()>>(done);
            result
        })
    }
}

/// Draws until the sender is gone.
fn draw(stage: &'static str, progress: &Progress, patience: Duration, done: &Receiver<()>) {
    let goes_on = |wait| done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout);
    if !goes_on(patience) {
        return;
    }
    let bar = ProgressBar::new(progress.total());
    if progress.done() < progress.total() {
        bar.set_style(style("{msg} {wide_bar} {bytes} of {total_bytes}"));
    } else {
        bar.set_style(style("{spinner} {msg}, {elapsed}"));
    }
    bar.set_message(Cow::Borrowed(stage));
    loop {
        bar.set_length(progress.total());
        bar.set_position(progress.done());
        bar.tick();
        if !goes_on(REDRAW_INTERVAL) {
            break;
        }
    }
    bar.finish_and_clear();
}

fn style(template: &str) -> ProgressStyle {
    // A template that cannot be read would be a mistake of ours; a line that looks different does no harm.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
