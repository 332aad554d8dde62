//! Skeleton: The way into the log for everything outside the driver.
use super::command::{Command, Outcome};
/// What happens with the outcome: called exactly once, on the driver's thread; must not block.
pub type Reply = Box<dyn FnOnce(Outcome) + Send>;
/// A command on its way into the log.
pub struct Proposal {
    /// the request
    pub command: Command,
    /// who waits
    pub reply: Reply,
}
/// Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct Proposer {
    _private: (),
}
impl Proposer {
    /// Queues a proposal for the next turn. The queue is bounded: full = the proposal comes back (answer SERVFAIL).
    pub fn propose(&self, _proposal: Proposal) -> Result<(), Proposal> {
        todo!()
    }
    /// Proposes and waits.
    pub async fn call(&self, _command: Command) -> Outcome {
        todo!()
    }
}
