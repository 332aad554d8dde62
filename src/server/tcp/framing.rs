//! Messages in a stream of octets: each behind its length in two octets (RFC 1035 §4.2.2).

/// Octets of a length.
pub(super) const PREFIX_BYTES: usize = 2;
/// The longest message with its length.
pub(super) const FRAME_BYTES_MAX: usize = PREFIX_BYTES + u16::MAX as usize;

/// The complete messages at the beginning of `octets`, without their lengths.
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (prefix, rest) = self.0.split_first_chunk::<PREFIX_BYTES>()?;
        let (message, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*prefix)))?;
        self.0 = rest;
        Some(message)
    }
}

/// Whether there is a complete message at the beginning.
pub(super) fn has_message(octets: &[u8]) -> bool {
    Messages(octets).next().is_some()
}

/// How many octets the message at the beginning lacks; the length itself counts while it is not known.
pub(super) fn lacking(octets: &[u8]) -> usize {
    let whole = match octets.first_chunk::<PREFIX_BYTES>() {
        Some(prefix) => PREFIX_BYTES + usize::from(u16::from_be_bytes(*prefix)),
        None => PREFIX_BYTES,
    };
    whole.saturating_sub(octets.len())
}

/// Puts a message behind `output`. False if it is too long for any stream.
pub(super) fn push(output: &mut Vec<u8>, message: &[u8]) -> bool {
    let Ok(length) = u16::try_from(message.len()) else { return false };
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(message);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_messages_are_taken_and_the_rest_is_left() {
        /// Octets, the messages in them, the rest, and what that lacks.
        type Case = (&'static [u8], &'static [&'static [u8]], &'static [u8], usize);
        let cases: [Case; 6] = [
            (b"", &[], b"", 2),
            (b"\0", &[], b"\0", 1),
            (b"\0\x03ab", &[], b"\0\x03ab", 1),
            (b"\0\x02ab", &[b"ab"], b"", 2),
            (b"\0\0\0\x01a\0\0", &[b"", b"a", b""], b"", 2),
            (b"\0\x01a\xff\xffb", &[b"a"], b"\xff\xffb", 65_534),
        ];
        for (octets, expected, rest, lacks) in cases {
            assert_eq!(has_message(octets), !expected.is_empty(), "{octets:?}");
            let mut messages = Messages(octets);
            assert_eq!(messages.by_ref().collect::<Vec<_>>(), expected, "{octets:?}");
            assert_eq!((messages.0, lacking(messages.0)), (rest, lacks), "{octets:?}");
        }
    }

    #[test]
    fn a_message_that_no_length_can_tell_is_not_sent() {
        let mut output = Vec::new();
        assert!(push(&mut output, &[7; 65_535]));
        assert_eq!((output.len(), &output[..3]), (FRAME_BYTES_MAX, &[0xff, 0xff, 7][..]));
        assert!(!push(&mut output, &[7; 65_536]));
        assert_eq!(output.len(), FRAME_BYTES_MAX);
    }
}
