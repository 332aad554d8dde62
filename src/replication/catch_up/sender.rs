//! The helping end: which messages answer a request for an image.

use super::image::{Digest, Image, Position};
use super::message::Message;
use std::sync::Arc;

/// Sends one image on one connection.
pub struct Sender {
    image: Arc<Image>,
    position: Position,
    chunks: u64,
    digest: Digest,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    Start,
    Chunks,
    Ended,
}

impl Sender {
    /// Goes on behind the first `chunks` chunks, which are made again for their digest; an image that has no more is sent
    /// from its start.
    pub fn new(image: Arc<Image>, chunks: u64) -> Sender {
        let start = || Sender {
            image: Arc::clone(&image),
            position: Position::default(),
            chunks: 0,
            digest: Digest::default(),
            stage: Stage::Start,
        };
        let mut sender = start();
        while sender.chunks < chunks {
            if sender.next_chunk().is_none() {
                return start();
            }
        }
        sender
    }

    fn next_chunk(&mut self) -> Option<Vec<u8>> {
        let chunk = self.image.next_chunk(&mut self.position)?;
        self.digest = self.digest.with(&chunk);
        self.chunks += 1;
        Some(chunk)
    }

    /// The next message; `None` when all has been said.
    pub fn next_message(&mut self) -> Option<Message> {
        match self.stage {
            Stage::Start => {
                self.stage = Stage::Chunks;
                let (id, applied_index) = (self.image.id, self.image.applied_index());
                Some(Message::Image { id, applied_index, first_chunk: self.chunks })
            }
            Stage::Chunks => match self.next_chunk() {
                Some(chunk) => Some(Message::Chunk(Arc::<[u8]>::from(chunk).into())),
                None => {
                    self.stage = Stage::Ended;
                    Some(Message::End { chunks: self.chunks, digest: self.digest })
                }
            },
            Stage::Ended => None,
        }
    }
}
