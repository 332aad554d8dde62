//! Nodes whose logs lack what they have not applied: images, by the code of the real server and over a virtual
//! connection that is cut now and then.

use super::node::Node;
use super::stats::Count;
use super::world::World;
use crate::harness::rng::Rng;
use std::sync::Arc;
use trimaran::replication::NodeId;
use trimaran::replication::catch_up::image::{Image, ImageId};
use trimaran::replication::catch_up::message::{Message, Refusal, Request};
use trimaran::replication::catch_up::receiver::{Receiver, Step};
use trimaran::replication::catch_up::sender::Sender;

/// Small, so that an image takes many.
const IMAGE_CHUNK_BYTES: usize = 1000;

/// What a process does about catching up, for others and for itself.
#[derive(Default)]
pub(super) struct CatchingUp {
    /// Kept for whoever lost the connection half way.
    image: Option<Arc<Image>>,
    /// What this process is being given.
    connection: Option<Connection>,
}

/// A catch-up connection: both ends at once.
struct Connection {
    from: NodeId,
    /// The process that it began with.
    incarnation: u64,
    sender: Sender,
    receiver: Receiver,
}

impl World {
    /// Nodes that are behind are given what they lack.
    pub(super) fn catch_up(&mut self) -> Result<(), String> {
        for id in self.ids() {
            let Some(mut node) = self.nodes.remove(&id) else { continue };
            let caught_up = self.catch_up_of(&mut node);
            self.nodes.insert(id, node);
            caught_up?;
        }
        Ok(())
    }

    fn catch_up_of(&mut self, node: &mut Node) -> Result<(), String> {
        let (id, now) = (node.id, self.now);
        let Some(process) = node.process.as_mut().filter(|process| process.paused_until <= now) else {
            return Ok(());
        };
        let helper = match &process.catching_up.connection {
            Some(connection) => connection.from,
            None if process.replica.missing_below().is_none() || self.rng.below(1000) >= 50 => return Ok(()),
            None => *self.rng.pick(&self.ids()),
        };
        let is_open = !self.network.is_blocked(id, helper, now) && !self.network.is_blocked(helper, id, now);
        let is_cut = !is_open || now < self.scenario.steps && self.rng.below(1000) < 10;
        let Some(other) = self.nodes.get_mut(&helper) else { return Ok(()) };
        match &mut process.catching_up.connection {
            None if is_open => begin(node, other, &mut self.rng),
            None => {}
            Some(connection)
                if is_cut || other.process.is_none() || connection.incarnation != other.incarnation =>
            {
                process.catching_up.connection = None;
            }
            Some(_) if other.process.as_ref().is_some_and(|other| other.paused_until > now) => {}
            Some(_) => self.stats[Count::Images] += u64::from(receive(node)?),
        }
        Ok(())
    }
}

/// Connects two nodes, of which the first is behind, if the second can help.
fn begin(behind: &mut Node, helper: &mut Node, rng: &mut Rng) {
    let (from, incarnation) = (helper.id, helper.incarnation);
    let (Some(process), Some(_)) = (&mut behind.process, &helper.process) else { return };
    let Some(at_least) = process.replica.missing_below() else { return };
    let receiver = Receiver::new(process.applied_index(), at_least, behind.zone_disk.partial());
    if let Ok(sender) = help(helper, receiver.request(), rng) {
        process.catching_up.connection = Some(Connection { from, incarnation, sender, receiver });
    }
}

/// Answers a request, unless this node is behind as well.
fn help(node: &mut Node, request: &Request, rng: &mut Rng) -> Result<Sender, Refusal> {
    let process = node.process.as_mut().ok_or(Refusal::Busy)?;
    let applied_index = process.applied_index();
    if applied_index < request.at_least.max(request.have) {
        return Err(Refusal::Behind(applied_index));
    }
    let kept = &mut process.catching_up.image;
    let begun = request.partial.filter(|(id, _)| kept.as_ref().is_some_and(|image| image.id == *id));
    let image = match (begun, &kept) {
        (Some(_), Some(image)) => Arc::clone(image),
        _ => Arc::new(Image::new(ImageId(rng.bits()), process.machine.snapshot(), IMAGE_CHUNK_BYTES)),
    };
    *kept = Some(Arc::clone(&image));
    Ok(Sender::new(image, begun.map_or(0, |(_, chunks)| chunks)))
}

/// The next message of the connection arrives. Says whether an image was put in place.
fn receive(node: &mut Node) -> Result<bool, String> {
    let Some(process) = &mut node.process else { return Ok(false) };
    let Some(connection) = &mut process.catching_up.connection else { return Ok(false) };
    let Some(message) = connection.sender.next_message() else {
        process.catching_up.connection = None;
        return Ok(false);
    };
    let message = Message::decode(&message.encode()).ok_or("a catch-up message does not decode")?;
    match connection.receiver.receive(message) {
        Ok(Step::Begin(progress)) => node.zone_disk.begin_image(progress),
        Ok(Step::Write(chunk, progress)) => node.zone_disk.write_chunk(*chunk, progress),
        // The zone writer has one job at a time.
        Ok(Step::Install(_)) if node.zone_disk.is_busy() => process.catching_up.connection = None,
        Ok(Step::Install(progress)) => {
            process.catching_up.connection = None;
            node.zone_disk.install_image();
            process.machine.replace(node.zone_disk.restore_into(process.machine.blank()));
            if process.applied_index() != progress.applied_index {
                return Err(format!("node {}: the image is not what its head says", node.id));
            }
            process.replica.start_applying_at(progress.applied_index);
            process.replica.configure(process.machine.configuration().clone(), progress.applied_index);
            process.replica.set_durable_applied(progress.applied_index);
            return Ok(true);
        }
        Ok(Step::Wait) => {}
        Ok(step @ (Step::Apply(..) | Step::Refused(_))) => return Err(format!("not asked for: {step:?}")),
        Err(fault) => return Err(format!("node {}: {fault}", node.id)),
    }
    Ok(false)
}
