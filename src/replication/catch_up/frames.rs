//! Frames on a connection that waits.

use super::message::FRAME_BYTES_MAX;
use std::io::{self, Read, Write};

/// A connection after its handshake.
pub(in crate::replication) trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// Octets that are read at once: memory is taken as they arrive, not as they are announced.
const STEP_BYTES: usize = 1 << 20;

pub(super) fn write(wire: &mut dyn Wire, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("it does not fit into a frame"))?;
    wire.write_all(&length.to_be_bytes())?;
    wire.write_all(payload)?;
    wire.flush()
}

pub(super) fn read(wire: &mut dyn Wire) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    wire.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other("it announces a frame that is too long"));
    }
    let mut payload = Vec::new();
    while payload.len() < length {
        let start = payload.len();
        payload.resize(length.min(start + STEP_BYTES), 0);
        wire.read_exact(&mut payload[start..])?;
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn frames_come_back_and_what_is_none_is_refused() {
        let (mut near, mut far) = UnixStream::pair().expect("a pair");
        let long = vec![7; 3 * STEP_BYTES + 5];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                [&b""[..], b"ab", &long].iter().for_each(|payload| write(&mut near, payload).expect("sent"));
                near.write_all(&[0xff; 4]).expect("sent");
            });
            for expected in [&b""[..], b"ab", &long] {
                assert!(read(&mut far).expect("a frame") == expected);
            }
            assert!(read(&mut far).expect_err("too long").to_string().contains("too long"));
        });
        drop(near);
        assert_eq!(read(&mut far).expect_err("closed").kind(), io::ErrorKind::UnexpectedEof);
        assert!(write(&mut far, &vec![0; FRAME_BYTES_MAX + 1]).is_err());
    }
}
